/**
 * What the structs of kube-apiserver's internal API, whose values stand in messages, have otherwise than those of the version that clients
 * send (kubernetes 1.36 pkg/apis/core/types.go). All else is as in the facts: `core.v1.Container`.
 */

/** What a pod says of the host's namespaces is internally a part of its security context. */
export const ofHost = ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace', 'hostUsers'] as const;

/** The members of a struct by their JSON names, in its order, where that is another. */
export const internalOrders: Readonly<Partial<Record<string, readonly string[]>>> = {
  'core.v1.PodSpec': [
    ...['volumes', 'initContainers', 'containers', 'ephemeralContainers', 'restartPolicy'],
    ...['terminationGracePeriodSeconds', 'activeDeadlineSeconds', 'dnsPolicy', 'nodeSelector'],
    ...['serviceAccountName', 'automountServiceAccountToken', 'nodeName', 'securityContext'],
    ...['imagePullSecrets', 'hostname', 'subdomain', 'setHostnameAsFQDN', 'affinity', 'schedulerName'],
    ...['tolerations', 'hostAliases', 'priorityClassName', 'priority', 'preemptionPolicy', 'dnsConfig'],
    ...['readinessGates', 'runtimeClassName', 'overhead', 'enableServiceLinks', 'topologySpreadConstraints'],
    ...['os', 'schedulingGates', 'resourceClaims', 'resources', 'hostnameOverride', 'schedulingGroup'],
  ],
  'core.v1.PodSecurityContext': [
    ...ofHost,
    ...['seLinuxOptions', 'windowsOptions', 'runAsUser', 'runAsGroup', 'runAsNonRoot', 'supplementalGroups'],
    ...['supplementalGroupsPolicy', 'fsGroup', 'fsGroupChangePolicy', 'sysctls', 'seccompProfile'],
    ...['appArmorProfile', 'seLinuxChangePolicy'],
  ],
  'core.v1.VolumeSource': [
    ...['hostPath', 'emptyDir', 'gcePersistentDisk', 'awsElasticBlockStore', 'gitRepo', 'secret', 'nfs'],
    ...['iscsi', 'glusterfs', 'persistentVolumeClaim', 'rbd', 'quobyte', 'flexVolume', 'cinder', 'cephfs'],
    ...['flocker', 'downwardAPI', 'fc', 'azureFile', 'configMap', 'vsphereVolume', 'azureDisk'],
    ...['photonPersistentDisk', 'projected', 'portworxVolume', 'scaleIO', 'storageos', 'csi', 'ephemeral'],
    'image',
  ],
  'core.v1.PersistentVolumeSource': [
    ...['gcePersistentDisk', 'awsElasticBlockStore', 'hostPath', 'glusterfs', 'nfs', 'rbd', 'quobyte'],
    ...['iscsi', 'flexVolume', 'cinder', 'cephfs', 'fc', 'flocker', 'azureFile', 'vsphereVolume'],
    ...['azureDisk', 'photonPersistentDisk', 'portworxVolume', 'scaleIO', 'local', 'storageos', 'csi'],
  ],
};

const rbdNames = { monitors: 'CephMonitors', image: 'RBDImage', pool: 'RBDPool', user: 'RadosUser' };
const glusterNames = { endpoints: 'EndpointsName' };

/** Names of members in Go that do not follow from those in JSON, by struct. */
export const namesOfTypes: Readonly<Partial<Record<string, Readonly<Record<string, string>>>>> = {
  'core.v1.RBDVolumeSource': rbdNames,
  'core.v1.RBDPersistentVolumeSource': rbdNames,
  'core.v1.GlusterfsVolumeSource': glusterNames,
  'core.v1.GlusterfsPersistentVolumeSource': glusterNames,
};

/** The same, in whatever struct. */
export const namesAnywhere: Readonly<Record<string, string>> = {
  cephfs: 'CephFS',
  storageos: 'StorageOS',
  seLinuxOptions: 'SELinuxOptions',
  seLinuxChangePolicy: 'SELinuxChangePolicy',
  pdName: 'PDName',
  wwids: 'WWIDs',
  chapAuthDiscovery: 'DiscoveryCHAPAuth',
  chapAuthSession: 'SessionCHAPAuth',
  diskURI: 'DataDiskURI',
};
