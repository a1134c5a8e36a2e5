/**
 * What becomes of every field that a pod's spec can hold, by type of the API. field-coverage.test.ts walks the schema through
 * it, from PodSpec down through what is acted on, and fails for a field that has no line here: a new version of Kubernetes
 * cannot bring one that is silently ignored. That each is acted on is proven in test/fields.
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
const refused: Coverage = { kind: 'refused', by: 'agent/kubelet/admit/unsupported.ts' };
const noVolume: Coverage = { kind: 'refused', by: 'agent/volume/volume-kinds.ts' };
const inert = (why: string): Coverage => ({ kind: 'inert', why });
const identity = inert('names its holder; whoever reads the holder reads it');
const windows = inert(
  'is for Windows: the kubelet of a Linux node leaves it out, and with os.name linux it is not valid',
);

type Fields = Readonly<Record<string, Coverage>>;

/** The fields that a kind of container shares with the others. */
const container: Fields = {
  args: here('render/container-config'),
  command: here('render/container-config'),
  env: here('render/environment'),
  envFrom: here('render/environment'),
  image: here('sync/container-view'),
  imagePullPolicy: here('sync/container-view'),
  lifecycle: here('render/render-input'),
  livenessProbe: here('probe/probe-loop'),
  name: identity,
  ports: here('render/container-config'),
  readinessProbe: here('probe/probe-loop'),
  resizePolicy: here('render/resize'),
  resources: here('render/resources'),
  restartPolicy: here('sync/container-view'),
  restartPolicyRules: here('sync/container-view'),
  securityContext: here('render/security'),
  startupProbe: here('probe/probe-loop'),
  stdin: here('render/container-config'),
  stdinOnce: here('render/container-config'),
  terminationMessagePath: here('render/container-config'),
  terminationMessagePolicy: here('render/container-config'),
  tty: here('render/container-config'),
  volumeDevices: here('render/render-start'),
  volumeMounts: here('render/render-start'),
  workingDir: here('render/container-config'),
};

/** What the API lets no container have that is added to a running pod. */
const notOfEphemeral =
  'lifecycle livenessProbe ports readinessProbe resizePolicy resources restartPolicy restartPolicyRules startupProbe'.split(
    ' ',
  );

const handler: Fields = {
  exec: here('probe/handler'),
  httpGet: here('probe/handler'),
  tcpSocket: here('probe/handler'),
};

const key: Fields = {
  key: here('render/environment'),
  name: here('render/environment'),
  optional: here('render/environment'),
};

const objectName: Fields = { name: here('render/environment'), optional: here('render/environment') };

const selinux: Fields = { seLinuxOptions: refused };

/** By type of the API (`core.v1.` left out). */
export const fieldCoverage: Readonly<Record<string, Fields>> = {
  PodSpec: {
    activeDeadlineSeconds: here('sync/pod-end'),
    affinity: server('control-plane/scheduler/plugins/inter-pod-affinity'),
    automountServiceAccountToken: server('control-plane/apiserver/chain/admission/pods/service-account'),
    containers: here('sync/pod-input'),
    dnsConfig: here('render/host-files'),
    dnsPolicy: here('render/host-files'),
    enableServiceLinks: here('render/environment'),
    ephemeralContainers: here('sync/pod-input'),
    hostAliases: here('render/host-files'),
    hostIPC: here('render/container-config'),
    hostNetwork: here('render/container-config'),
    hostPID: here('render/container-config'),
    hostUsers: here('render/container-config'),
    hostname: here('render/host-files'),
    hostnameOverride: here('render/host-files'),
    imagePullSecrets: here('render/render-action'),
    initContainers: here('sync/pod-input'),
    nodeName: here('sync/pod-workers'),
    nodeSelector: server('api/pod/node-affinity'),
    os: here('admit/admission'),
    overhead: shared('pod/requests'),
    preemptionPolicy: server('control-plane/apiserver/chain/admission/pods/priority'),
    priority: here('render/resources'),
    priorityClassName: server('control-plane/apiserver/chain/admission/pods/priority'),
    readinessGates: here('status/status'),
    resourceClaims: by('device/claims/pod-claims'),
    resources: here('render/resources'),
    restartPolicy: here('sync/container-view'),
    runtimeClassName: here('sync/gather'),
    schedulerName: server('control-plane/scheduler/scheduler'),
    schedulingGates: server('control-plane/scheduler/pod-changes'),
    schedulingGroup: server('api/pod/scheduling-group'),
    securityContext: here('render/security'),
    serviceAccount: server('api/kinds/core/pod-admission'),
    serviceAccountName: by('volume/tokens'),
    setHostnameAsFQDN: here('render/host-files'),
    shareProcessNamespace: here('render/container-config'),
    subdomain: here('render/host-files'),
    terminationGracePeriodSeconds: here('sync/plan'),
    tolerations: server('control-plane/scheduler/plugins/taint-toleration'),
    topologySpreadConstraints: server('control-plane/scheduler/plugins/topology-spread'),
    volumes: by('volume/pod-volumes'),
  },
  Container: container,
  EphemeralContainer: {
    ...container,
    ...Object.fromEntries(notOfEphemeral.map((field) => [field, server('api/validation/pod/containers')])),
    targetContainerName: here('render/pid-target'),
  },
  PodDNSConfig: {
    nameservers: here('render/host-files'),
    options: here('render/host-files'),
    searches: here('render/host-files'),
  },
  PodDNSConfigOption: { name: here('render/host-files'), value: here('render/host-files') },
  HostAlias: { hostnames: here('render/host-files'), ip: here('render/host-files') },
  LocalObjectReference: { name: here('render/render-action') },
  PodOS: { name: here('admit/admission') },
  PodReadinessGate: { conditionType: here('status/status') },

  EnvVar: {
    name: here('render/environment'),
    value: here('render/environment'),
    valueFrom: here('render/environment'),
  },
  EnvVarSource: {
    configMapKeyRef: here('render/environment'),
    fieldRef: here('render/environment'),
    fileKeyRef: here('render/environment'),
    resourceFieldRef: here('render/environment'),
    secretKeyRef: here('render/environment'),
  },
  ConfigMapKeySelector: key,
  SecretKeySelector: key,
  ObjectFieldSelector: {
    apiVersion: inert('has one value, v1'),
    fieldPath: here('render/downward'),
  },
  FileKeySelector: {
    key: here('render/environment'),
    optional: here('render/environment'),
    path: here('render/environment'),
    volumeName: here('sync/gather'),
  },
  ResourceFieldSelector: {
    containerName: here('render/downward'),
    divisor: here('render/downward'),
    resource: here('render/downward'),
  },
  EnvFromSource: {
    configMapRef: here('render/environment'),
    prefix: here('render/environment'),
    secretRef: here('render/environment'),
  },
  ConfigMapEnvSource: objectName,
  SecretEnvSource: objectName,

  Lifecycle: {
    postStart: here('render/render-start'),
    preStop: here('render/render-action'),
    stopSignal: here('render/container-config'),
  },
  LifecycleHandler: { ...handler, sleep: here('probe/handler') },
  ExecAction: { command: here('probe/handler') },
  HTTPGetAction: {
    host: here('probe/handler'),
    httpHeaders: here('probe/handler'),
    path: here('probe/handler'),
    port: here('probe/handler'),
    scheme: here('probe/handler'),
  },
  HTTPHeader: { name: here('probe/handler'), value: here('probe/handler') },
  SleepAction: { seconds: here('probe/handler') },
  TCPSocketAction: { host: here('probe/handler'), port: here('probe/handler') },
  Probe: {
    ...handler,
    failureThreshold: here('probe/probe-loop'),
    grpc: here('probe/probe-loop'),
    initialDelaySeconds: here('probe/probe-loop'),
    periodSeconds: here('probe/probe-loop'),
    successThreshold: here('probe/probe-loop'),
    terminationGracePeriodSeconds: here('sync/plan'),
    timeoutSeconds: here('probe/probe-loop'),
  },
  GRPCAction: { port: here('probe/probe-loop'), service: here('probe/probe-loop') },

  ContainerPort: {
    containerPort: here('render/container-config'),
    hostIP: here('render/container-config'),
    hostPort: here('render/container-config'),
    name: here('probe/handler'),
    protocol: here('render/container-config'),
  },
  ContainerResizePolicy: { resourceName: here('render/resize'), restartPolicy: here('render/resize') },
  PodResourceClaim: {
    name: by('device/claims/pod-claims'),
    resourceClaimName: shared('device/pod-claims'),
    resourceClaimTemplateName: server('control-plane/controllers/resource-claim/reconcile'),
  },
  ResourceClaim: { name: by('device/claims/pod-claims'), request: by('device/claims/pod-claims') },
  ResourceRequirements: {
    claims: by('device/claims/pod-claims'),
    limits: here('render/resources'),
    requests: here('render/resources'),
  },
  ContainerRestartRule: { action: here('sync/container-view'), exitCodes: here('sync/container-view') },
  ContainerRestartRuleOnExitCodes: {
    operator: here('sync/container-view'),
    values: here('sync/container-view'),
  },

  SecurityContext: {
    ...selinux,
    allowPrivilegeEscalation: here('render/security'),
    appArmorProfile: here('render/apparmor'),
    capabilities: here('render/security'),
    privileged: here('render/security'),
    procMount: here('render/security'),
    readOnlyRootFilesystem: here('render/security'),
    runAsGroup: here('render/security'),
    runAsNonRoot: here('render/security'),
    runAsUser: here('render/security'),
    seccompProfile: here('render/seccomp'),
    windowsOptions: windows,
  },
  PodSecurityContext: {
    ...selinux,
    appArmorProfile: here('render/apparmor'),
    fsGroup: here('render/security'),
    fsGroupChangePolicy: by('volume/claims/claim-volume'),
    runAsGroup: here('render/security'),
    runAsNonRoot: here('render/security'),
    runAsUser: here('render/security'),
    seLinuxChangePolicy: inert(
      'says how volumes get the labels of seLinuxOptions, which are refused where they mean anything',
    ),
    seccompProfile: here('render/seccomp'),
    supplementalGroups: here('render/security'),
    supplementalGroupsPolicy: here('render/security'),
    sysctls: here('render/container-config'),
    windowsOptions: windows,
  },
  AppArmorProfile: { localhostProfile: here('render/apparmor'), type: here('render/apparmor') },
  Capabilities: { add: here('render/security'), drop: here('render/security') },
  SeccompProfile: { localhostProfile: here('render/seccomp'), type: here('render/seccomp') },
  Sysctl: { name: here('admit/sysctls'), value: here('render/container-config') },

  VolumeMount: {
    mountPath: here('render/container-config'),
    mountPropagation: here('render/container-config'),
    name: here('render/render-start'),
    readOnly: here('render/container-config'),
    recursiveReadOnly: here('render/container-config'),
    subPath: here('render/container-config'),
    subPathExpr: here('render/container-config'),
  },
  Volume: {
    configMap: by('volume/volume-kinds'),
    csi: by('volume/volume-kinds'),
    downwardAPI: by('volume/volume-kinds'),
    emptyDir: by('volume/volume-kinds'),
    ephemeral: by('volume/volume-kinds'),
    hostPath: by('volume/volume-kinds'),
    image: by('volume/volume-kinds'),
    name: by('volume/pod-volumes'),
    nfs: by('volume/volume-kinds'),
    persistentVolumeClaim: by('volume/volume-kinds'),
    projected: by('volume/volume-kinds'),
    secret: by('volume/volume-kinds'),
    ...Object.fromEntries(
      (
        'awsElasticBlockStore azureDisk azureFile cephfs cinder fc flexVolume flocker gcePersistentDisk ' +
        'gitRepo glusterfs iscsi photonPersistentDisk portworxVolume quobyte rbd scaleIO ' +
        'storageos vsphereVolume'
      )
        .split(' ')
        .map((kind) => [kind, noVolume]),
    ),
  },
  PersistentVolumeClaimVolumeSource: {
    claimName: shared('volume/claim'),
    readOnly: by('volume/claims/claim-volume'),
  },
  EphemeralVolumeSource: {
    volumeClaimTemplate: server('control-plane/controllers/ephemeral-volume/plan'),
  },
  CSIVolumeSource: {
    driver: by('volume/csi/csi-volumes'),
    fsType: by('volume/csi/csi-volumes'),
    nodePublishSecretRef: by('volume/csi/csi-volumes'),
    readOnly: by('volume/csi/csi-volumes'),
    volumeAttributes: by('volume/csi/csi-volumes'),
  },
  VolumeDevice: { devicePath: here('render/render-start'), name: here('render/render-start') },
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
  EmptyDirVolumeSource: { medium: by('volume/empty-dir'), sizeLimit: here('evict/evict') },
  ImageVolumeSource: { pullPolicy: here('sync/image-needs'), reference: here('sync/image-needs') },
  NFSVolumeSource: {
    path: by('volume/nfs/nfs'),
    readOnly: by('volume/nfs/nfs'),
    server: by('volume/nfs/nfs'),
  },
  HostPathVolumeSource: { path: by('volume/host-path'), type: by('volume/host-path') },
  ProjectedVolumeSource: { defaultMode: by('volume/api-data'), sources: by('volume/api-data') },
  VolumeProjection: {
    clusterTrustBundle: by('volume/api-data'),
    configMap: by('volume/api-data'),
    downwardAPI: by('volume/api-data'),
    podCertificate: by('volume/api-data'),
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
  ClusterTrustBundleProjection: {
    labelSelector: by('volume/trust-bundles'),
    name: by('volume/trust-bundles'),
    optional: by('volume/trust-bundles'),
    path: by('volume/api-data'),
    signerName: by('volume/trust-bundles'),
  },
  PodCertificateProjection: {
    certificateChainPath: by('volume/api-data'),
    credentialBundlePath: by('volume/api-data'),
    keyPath: by('volume/api-data'),
    keyType: by('volume/certificates/pod-certificates'),
    maxExpirationSeconds: by('volume/certificates/pod-certificates'),
    signerName: by('volume/certificates/pod-certificates'),
    userAnnotations: by('volume/certificates/pod-certificates'),
  },
  DownwardAPIProjection: { items: by('volume/api-data') },
  ServiceAccountTokenProjection: {
    audience: by('volume/tokens'),
    expirationSeconds: by('volume/tokens'),
    path: by('volume/api-data'),
  },
};
