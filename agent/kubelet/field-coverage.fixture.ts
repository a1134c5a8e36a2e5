/**
 * What becomes of every field that a pod's spec can hold, by type of the API. field-coverage.test.ts walks the schema through
 * it, from PodSpec down through what is acted on, and fails for a field that has no line here: a new version of Kubernetes
 * cannot bring one that is silently ignored.
 */
export type Coverage =
  /** Read by the file, which is of the node or shared with it. */
  | { readonly kind: 'acted'; readonly by: string }
  /** Refused by name, by a row of the file: some or all values of it are not supported. Walked no further. */
  | { readonly kind: 'refused'; readonly by: string }
  /** The control plane's; no node has to know it. Walked no further. */
  | { readonly kind: 'server'; readonly by: string }
  /** Has no effect on such a host, and that is as it should be. Walked no further. */
  | { readonly kind: 'inert'; readonly why: string };

const by = (file: string): Coverage => ({ kind: 'acted', by: `agent/${file}.ts` });
const here = (file: string): Coverage => by(`kubelet/${file}`);
const shared = (file: string): Coverage => ({ kind: 'acted', by: `api/${file}.ts` });
const server = (file: string): Coverage => ({ kind: 'server', by: `${file}.ts` });
const refused: Coverage = { kind: 'refused', by: 'agent/kubelet/unsupported.ts' };
const noVolume: Coverage = { kind: 'refused', by: 'agent/volume/volume-kinds.ts' };
const noSource: Coverage = { kind: 'refused', by: 'agent/volume/api-data.ts' };
const inert = (why: string): Coverage => ({ kind: 'inert', why });
const identity = inert('names its holder; whoever reads the holder reads it');
const windows = inert(
  'is for Windows: the kubelet of a Linux node leaves it out, and with os.name linux it is not valid',
);

type Fields = Readonly<Record<string, Coverage>>;

/** The fields that a kind of container shares with the others. */
const container: Fields = {
  args: here('container-config'),
  command: here('container-config'),
  env: here('environment'),
  envFrom: here('environment'),
  image: here('container-view'),
  imagePullPolicy: here('container-view'),
  lifecycle: here('render-input'),
  livenessProbe: here('probe-loop'),
  name: identity,
  ports: here('container-config'),
  readinessProbe: here('probe-loop'),
  resizePolicy: here('resize'),
  resources: here('resources'),
  restartPolicy: here('container-view'),
  restartPolicyRules: here('container-view'),
  securityContext: here('security'),
  startupProbe: here('probe-loop'),
  stdin: here('container-config'),
  stdinOnce: here('container-config'),
  terminationMessagePath: here('container-config'),
  terminationMessagePolicy: here('container-config'),
  tty: here('container-config'),
  volumeDevices: refused,
  volumeMounts: here('render-start'),
  workingDir: here('container-config'),
};

const handler: Fields = {
  exec: here('handler'),
  httpGet: here('handler'),
  tcpSocket: here('handler'),
};

const key: Fields = {
  key: here('environment'),
  name: here('environment'),
  optional: here('environment'),
};

const objectName: Fields = { name: here('environment'), optional: here('environment') };

const selinux: Fields = { seLinuxOptions: refused };

/** By type of the API (`core.v1.` left out). */
export const fieldCoverage: Readonly<Record<string, Fields>> = {
  PodSpec: {
    activeDeadlineSeconds: here('pod-end'),
    affinity: server('control-plane/scheduler/plugins/inter-pod-affinity'),
    automountServiceAccountToken: server('control-plane/apiserver/admission/service-account'),
    containers: here('pod-input'),
    dnsConfig: here('host-files'),
    dnsPolicy: here('host-files'),
    enableServiceLinks: here('environment'),
    ephemeralContainers: here('pod-input'),
    hostAliases: here('host-files'),
    hostIPC: here('container-config'),
    hostNetwork: here('container-config'),
    hostPID: here('container-config'),
    hostUsers: refused,
    hostname: here('host-files'),
    hostnameOverride: here('host-files'),
    imagePullSecrets: here('render-action'),
    initContainers: here('pod-input'),
    nodeName: here('pod-workers'),
    nodeSelector: server('api/pod/node-affinity'),
    os: here('admission'),
    overhead: shared('pod/requests'),
    preemptionPolicy: server('control-plane/apiserver/admission/priority'),
    priority: here('resources'),
    priorityClassName: server('control-plane/apiserver/admission/priority'),
    readinessGates: here('status'),
    resourceClaims: refused,
    resources: here('resources'),
    restartPolicy: here('container-view'),
    runtimeClassName: refused,
    schedulerName: server('control-plane/scheduler/scheduler'),
    schedulingGates: server('control-plane/scheduler/scheduler'),
    schedulingGroup: refused,
    securityContext: here('security'),
    serviceAccount: server('api/kinds/core/pod-admission'),
    serviceAccountName: by('volume/tokens'),
    setHostnameAsFQDN: here('host-files'),
    shareProcessNamespace: here('container-config'),
    subdomain: here('host-files'),
    terminationGracePeriodSeconds: here('plan'),
    tolerations: server('control-plane/scheduler/plugins/taint-toleration'),
    topologySpreadConstraints: server('control-plane/scheduler/plugins/topology-spread'),
    volumes: by('volume/pod-volumes'),
  },
  Container: container,
  EphemeralContainer: { ...container, targetContainerName: here('pid-target') },
  PodDNSConfig: {
    nameservers: here('host-files'),
    options: here('host-files'),
    searches: here('host-files'),
  },
  PodDNSConfigOption: { name: here('host-files'), value: here('host-files') },
  HostAlias: { hostnames: here('host-files'), ip: here('host-files') },
  LocalObjectReference: { name: here('render-action') },
  PodOS: { name: here('admission') },
  PodReadinessGate: { conditionType: here('status') },

  EnvVar: { name: here('environment'), value: here('environment'), valueFrom: here('environment') },
  EnvVarSource: {
    configMapKeyRef: here('environment'),
    fieldRef: here('environment'),
    fileKeyRef: here('environment'),
    resourceFieldRef: here('environment'),
    secretKeyRef: here('environment'),
  },
  ConfigMapKeySelector: key,
  SecretKeySelector: key,
  ObjectFieldSelector: {
    apiVersion: inert('has one value, v1'),
    fieldPath: here('downward'),
  },
  FileKeySelector: {
    key: here('environment'),
    optional: here('environment'),
    path: here('environment'),
    volumeName: here('gather'),
  },
  ResourceFieldSelector: {
    containerName: here('downward'),
    divisor: here('downward'),
    resource: here('downward'),
  },
  EnvFromSource: {
    configMapRef: here('environment'),
    prefix: here('environment'),
    secretRef: here('environment'),
  },
  ConfigMapEnvSource: objectName,
  SecretEnvSource: objectName,

  Lifecycle: {
    postStart: here('render-start'),
    preStop: here('render-action'),
    stopSignal: here('container-config'),
  },
  LifecycleHandler: { ...handler, sleep: here('handler') },
  ExecAction: { command: here('handler') },
  HTTPGetAction: {
    host: here('handler'),
    httpHeaders: here('handler'),
    path: here('handler'),
    port: here('handler'),
    scheme: here('handler'),
  },
  HTTPHeader: { name: here('handler'), value: here('handler') },
  SleepAction: { seconds: here('handler') },
  TCPSocketAction: { host: here('handler'), port: here('handler') },
  Probe: {
    ...handler,
    failureThreshold: here('probe-loop'),
    grpc: here('probe-loop'),
    initialDelaySeconds: here('probe-loop'),
    periodSeconds: here('probe-loop'),
    successThreshold: here('probe-loop'),
    terminationGracePeriodSeconds: here('plan'),
    timeoutSeconds: here('probe-loop'),
  },
  GRPCAction: { port: here('probe-loop'), service: here('probe-loop') },

  ContainerPort: {
    containerPort: here('container-config'),
    hostIP: here('container-config'),
    hostPort: here('container-config'),
    name: here('handler'),
    protocol: here('container-config'),
  },
  ContainerResizePolicy: { resourceName: here('resize'), restartPolicy: here('resize') },
  ResourceRequirements: { claims: refused, limits: here('resources'), requests: here('resources') },
  ContainerRestartRule: { action: refused, exitCodes: here('container-view') },
  ContainerRestartRuleOnExitCodes: { operator: here('container-view'), values: here('container-view') },

  SecurityContext: {
    ...selinux,
    allowPrivilegeEscalation: here('security'),
    appArmorProfile: here('unsupported'),
    capabilities: here('security'),
    privileged: here('security'),
    procMount: here('security'),
    readOnlyRootFilesystem: here('security'),
    runAsGroup: here('security'),
    runAsNonRoot: here('security'),
    runAsUser: here('security'),
    seccompProfile: here('security'),
    windowsOptions: windows,
  },
  PodSecurityContext: {
    ...selinux,
    appArmorProfile: here('unsupported'),
    fsGroup: here('security'),
    fsGroupChangePolicy: inert(
      'is about volumes that outlive pods; emptyDir, configMap and their like are made new for each',
    ),
    runAsGroup: here('security'),
    runAsNonRoot: here('security'),
    runAsUser: here('security'),
    seLinuxChangePolicy: inert(
      'says how volumes get the labels of seLinuxOptions, which are refused where they mean anything',
    ),
    seccompProfile: here('security'),
    supplementalGroups: here('security'),
    supplementalGroupsPolicy: here('security'),
    sysctls: here('container-config'),
    windowsOptions: windows,
  },
  AppArmorProfile: {
    localhostProfile: inert('is read with type Localhost, which is refused'),
    type: refused,
  },
  Capabilities: { add: here('security'), drop: here('security') },
  SeccompProfile: { localhostProfile: refused, type: here('security') },
  Sysctl: { name: here('sysctl-admission'), value: here('container-config') },

  VolumeMount: {
    mountPath: here('container-config'),
    mountPropagation: here('container-config'),
    name: here('render-start'),
    readOnly: here('container-config'),
    recursiveReadOnly: here('container-config'),
    subPath: here('container-config'),
    subPathExpr: here('container-config'),
  },
  Volume: {
    configMap: by('volume/volume-kinds'),
    downwardAPI: by('volume/volume-kinds'),
    emptyDir: by('volume/volume-kinds'),
    hostPath: by('volume/volume-kinds'),
    name: by('volume/pod-volumes'),
    projected: by('volume/volume-kinds'),
    secret: by('volume/volume-kinds'),
    ...Object.fromEntries(
      (
        'awsElasticBlockStore azureDisk azureFile cephfs cinder csi ephemeral fc flexVolume flocker gcePersistentDisk ' +
        'gitRepo glusterfs image iscsi nfs persistentVolumeClaim photonPersistentDisk portworxVolume quobyte rbd scaleIO ' +
        'storageos vsphereVolume'
      )
        .split(' ')
        .map((kind) => [kind, noVolume]),
    ),
  },
  ConfigMapVolumeSource: {
    defaultMode: by('volume/api-data'),
    items: by('volume/api-data'),
    name: by('volume/api-data'),
    optional: by('volume/api-data'),
  },
  SecretVolumeSource: {
    defaultMode: by('volume/api-data'),
    items: by('volume/api-data'),
    optional: by('volume/api-data'),
    secretName: by('volume/api-data'),
  },
  KeyToPath: { key: by('volume/payload'), mode: by('volume/payload'), path: by('volume/payload') },
  DownwardAPIVolumeSource: { defaultMode: by('volume/api-data'), items: by('volume/api-data') },
  DownwardAPIVolumeFile: {
    fieldRef: by('volume/api-data'),
    mode: by('volume/api-data'),
    path: by('volume/api-data'),
    resourceFieldRef: by('volume/api-data'),
  },
  EmptyDirVolumeSource: { medium: by('volume/empty-dir'), sizeLimit: here('evict') },
  HostPathVolumeSource: { path: by('volume/host-path'), type: by('volume/host-path') },
  ProjectedVolumeSource: { defaultMode: by('volume/api-data'), sources: by('volume/api-data') },
  VolumeProjection: {
    clusterTrustBundle: noSource,
    configMap: by('volume/api-data'),
    downwardAPI: by('volume/api-data'),
    podCertificate: noSource,
    secret: by('volume/api-data'),
    serviceAccountToken: by('volume/api-data'),
  },
  ConfigMapProjection: {
    items: by('volume/api-data'),
    name: by('volume/api-data'),
    optional: by('volume/api-data'),
  },
  SecretProjection: {
    items: by('volume/api-data'),
    name: by('volume/api-data'),
    optional: by('volume/api-data'),
  },
  DownwardAPIProjection: { items: by('volume/api-data') },
  ServiceAccountTokenProjection: {
    audience: by('volume/tokens'),
    expirationSeconds: by('volume/tokens'),
    path: by('volume/api-data'),
  },
};
