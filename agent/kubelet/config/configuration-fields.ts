/**
 * Every field of KubeletConfiguration (kubelet.config.k8s.io/v1beta1, of 1.36), with its shape and what becomes of it. A field that has no
 * effect here is named to whoever sets it to something else than what is so anyway.
 */
import type { ObjectShape } from '#api/config/config-document.ts';
import { acted, fixed, type ConfigurationField } from '#api/config/field-effects.ts';

const inside = 'runtime, network and mounts are in the agent itself';
const own = 'the agent has a cgroup of its own, which its unit or `podwright up` makes';
const turns = 'requests go out as they are due, with bounds on how many wait';
const always = 'it is always so';

const authentication: ObjectShape = {
  anonymous: { enabled: 'boolean' },
  webhook: { enabled: 'boolean', cacheTTL: 'duration' },
  x509: { clientCAFile: 'string' },
};
const authorization: ObjectShape = {
  mode: 'string',
  webhook: { cacheAuthorizedTTL: 'duration', cacheUnauthorizedTTL: 'duration' },
};

export const configurationFields: Readonly<Record<string, ConfigurationField>> = {
  // Pods.
  maxPods: acted('integer'),
  podsPerCore: acted('integer'),
  podPidsLimit: acted('integer'),
  staticPodPath: acted('string'),
  fileCheckFrequency: acted('duration'),
  staticPodURL: fixed('string', 'static pods come from files alone', ''),
  staticPodURLHeader: fixed('any', 'static pods come from files alone'),
  httpCheckFrequency: fixed('duration', 'static pods come from files alone'),
  syncFrequency: fixed('duration', 'pods are looked at when something about them changes', '1m', '1m0s'),
  runtimeRequestTimeout: fixed('duration', inside, '2m', '2m0s'),
  seccompDefault: acted('boolean'),
  allowedUnsafeSysctls: acted(['string']),
  cpuCFSQuota: acted('boolean'),
  cpuCFSQuotaPeriod: acted('duration'),
  crashLoopBackOff: acted({ maxContainerRestartPeriod: 'duration' }),
  userNamespaces: acted({ idsPerPod: 'integer' }),
  singleProcessOOMKill: acted('boolean'),
  memorySwap: acted({ swapBehavior: 'string' }),
  failSwapOn: acted('boolean'),
  memoryThrottlingFactor: acted('any'),
  memoryReservationPolicy: acted('string'),
  configMapAndSecretChangeDetectionStrategy: fixed('string', 'they are watched', 'Watch'),
  localStorageCapacityIsolation: fixed('boolean', always, true),
  enableControllerAttachDetach: fixed('boolean', always, true),
  volumePluginDir: fixed('string', 'there are no FlexVolumes'),
  volumeStatsAggPeriod: fixed('duration', 'volumes are measured when somebody asks', '1m', '1m0s'),
  qosReserved: fixed('stringMap', 'memory is not kept from pods of lower classes', {}),

  // The node.
  registerNode: fixed('boolean', always, true),
  registerWithTaints: acted([{ key: 'string', value: 'string', effect: 'string', timeAdded: 'any' }]),
  providerID: acted('string'),
  podCIDR: fixed('string', 'the range of a node is its Node’s spec.podCIDR', ''),
  nodeStatusUpdateFrequency: acted('duration'),
  nodeStatusReportFrequency: acted('duration'),
  nodeStatusMaxImages: acted('integer'),
  nodeLeaseDurationSeconds: acted('integer'),
  kubeReserved: acted('stringMap'),
  systemReserved: acted('stringMap'),
  reservedSystemCPUs: acted('string'),
  reservedMemory: acted('any'),
  enforceNodeAllocatable: acted(['string']),
  kubeReservedCgroup: acted('string'),
  systemReservedCgroup: acted('string'),

  // What goes when something is short.
  evictionHard: acted('stringMap'),
  evictionSoft: acted('stringMap'),
  evictionSoftGracePeriod: acted('stringMap'),
  evictionMinimumReclaim: acted('stringMap'),
  evictionPressureTransitionPeriod: acted('duration'),
  evictionMaxPodGracePeriod: acted('integer'),
  mergeDefaultEvictionSettings: acted('boolean'),
  kernelMemcgNotification: fixed('boolean', 'memory is looked at every ten seconds', false),
  imageMinimumGCAge: acted('duration'),
  imageMaximumGCAge: acted('duration'),
  imageGCHighThresholdPercent: acted('integer'),
  imageGCLowThresholdPercent: acted('integer'),
  shutdownGracePeriod: acted('duration'),
  shutdownGracePeriodCriticalPods: acted('duration'),
  shutdownGracePeriodByPodPriority: acted('any'),

  // Logs and images.
  podLogsDir: acted('string'),
  containerLogMaxSize: acted('string'),
  containerLogMaxFiles: acted('integer'),
  containerLogMonitorInterval: acted('duration'),
  containerLogMaxWorkers: fixed('integer', 'logs are rotated one after another', 1),
  registryPullQPS: fixed('integer', turns, 0),
  registryBurst: fixed('integer', turns),
  serializeImagePulls: acted('boolean'),
  maxParallelImagePulls: acted('integer'),
  imagePullCredentialsVerificationPolicy: acted('string'),
  preloadedImagesVerificationAllowlist: acted(['string']),

  // Network and names.
  clusterDNS: acted(['string']),
  clusterDomain: acted('string'),
  resolvConf: acted('string'),
  hairpinMode: fixed('string', 'the pod network sees to it', 'promiscuous-bridge', 'hairpin-veth'),
  makeIPTablesUtilChains: fixed('boolean', 'there are no iptables', false, true),
  iptablesMasqueradeBit: fixed('integer', 'there are no iptables', 14),
  iptablesDropBit: fixed('integer', 'there are no iptables', 15),

  // The port.
  enableServer: fixed('boolean', always, true),
  address: fixed('string', 'the port is at --node-ip', '0.0.0.0', '::'),
  port: fixed('integer', 'it is the port of every node', 10_250),
  readOnlyPort: fixed('integer', 'there is no port without authentication', 0),
  authentication: acted(authentication),
  authorization: acted(authorization),
  tlsCertFile: fixed('string', 'what the port shows is in --credentials', ''),
  tlsPrivateKeyFile: fixed('string', 'what the port shows is in --credentials', ''),
  tlsCipherSuites: fixed(['string'], 'those of Node are spoken', []),
  tlsCurvePreferences: fixed(['integer'], 'those of Node are spoken', []),
  tlsMinVersion: fixed('string', 'TLS 1.2 and 1.3 are spoken', '', 'VersionTLS12'),
  rotateCertificates: acted('boolean'),
  serverTLSBootstrap: fixed('boolean', 'rotateCertificates renews both certificates of the node'),
  streamingConnectionIdleTimeout: fixed('duration', 'streams end with those who hold them', '4h', '4h0m0s'),
  enableDebuggingHandlers: fixed('boolean', always, true),
  enableProfilingHandler: fixed('boolean', always, true),
  enableDebugFlagsHandler: fixed('boolean', always, true),
  enableContentionProfiling: fixed('boolean', 'one thread has no locks', false),
  enableSystemLogHandler: fixed('boolean', always, true),
  enableSystemLogQuery: fixed('boolean', 'journals are not asked', false),
  healthzPort: fixed('integer', 'health is told at the node’s port', 10_248, 0),
  healthzBindAddress: fixed('string', 'health is told at the node’s port', '127.0.0.1'),
  showHiddenMetricsForVersion: fixed('string', 'no metrics are hidden', ''),

  // The process.
  contentType: fixed('string', 'both are spoken', 'application/vnd.kubernetes.protobuf', 'application/json'),
  kubeAPIQPS: fixed('integer', turns),
  kubeAPIBurst: fixed('integer', turns),
  eventRecordQPS: fixed('integer', turns),
  eventBurst: fixed('integer', turns),
  oomScoreAdj: fixed('integer', own, -999),
  maxOpenFiles: fixed('integer', own),
  runOnce: fixed('boolean', 'an agent runs until it is stopped', false),
  kubeletCgroups: fixed('string', own, ''),
  systemCgroups: fixed('string', own, ''),
  cgroupRoot: acted('string'),
  cgroupsPerQOS: fixed('boolean', always, true),
  cgroupDriver: fixed('string', 'cgroups are made in the file system', 'cgroupfs'),
  failCgroupV1: fixed('boolean', 'there is no cgroup v1 here', true),
  containerRuntimeEndpoint: acted('string'),
  imageServiceEndpoint: acted('string'),
  protectKernelDefaults: fixed(
    'boolean',
    'no parameter of the host’s kernel is changed for pods',
    false,
    true,
  ),
  cpuManagerPolicy: acted('string'),
  cpuManagerPolicyOptions: acted('stringMap'),
  cpuManagerReconcilePeriod: acted('duration'),
  draManagerReconcilePeriod: fixed('duration', 'drivers are asked when claims change', '1m', '1m0s', '60s'),
  memoryManagerPolicy: acted('string'),
  topologyManagerPolicy: acted('string'),
  topologyManagerScope: acted('string'),
  topologyManagerPolicyOptions: acted('stringMap'),
  /** By gate: feature-gates.ts. */
  featureGates: acted('any'),
  logging: fixed('any', 'logs are JSON lines on stderr, by PODWRIGHT_LOG', {}),
  tracing: fixed('any', 'no traces are sent'),
};
