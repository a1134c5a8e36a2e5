/** Of fields that no change in `field-changes.fixture.ts` shows: the test, by file and name, that fails where one is ignored. */
export interface NamedProof {
  readonly file: string;
  /** As it is written there: of the test, or of its row. */
  readonly name: string;
}

const kubelet = (file: string, name: string): NamedProof => ({ file: `agent/kubelet/${file}`, name });
const probed = (name: string): NamedProof => kubelet('probe/handler.test.ts', `'${name}'`);
const scheduled = (name: string): NamedProof => ({ file: 'control-plane/scheduler/decide.test.ts', name });
const settled = (name: string): NamedProof => ({ file: 'control-plane/controllers/cluster.test.ts', name });
const account = (name: string): NamedProof => ({
  file: 'control-plane/apiserver/chain/admission/pods/service-account.test.ts',
  name,
});
const classed: NamedProof = {
  file: 'control-plane/apiserver/chain/admission/pods/pods.test.ts',
  name: "name: 'a class'",
};
const claimed = (name: string): NamedProof => ({ file: 'agent/device/claims/pod-claims.test.ts', name });
const allocated = (name: string): NamedProof => ({
  file: 'control-plane/controllers/resource-claim/resource-claim.test.ts',
  name,
});
const driven: NamedProof = {
  file: 'agent/volume/csi/csi-volumes.test.ts',
  name: 'is told it: who the pod is, tokens, secrets; and is asked again',
};
const resized = (name: string): NamedProof => kubelet('render/resize.test.ts', name);
const refused: NamedProof = {
  file: 'api/validation/rules/pod/update.fixture.ts',
  name: 'Forbidden: cannot be set for an Ephemeral Container',
};
const ofRequests = 'a container gets what its claims are for, by the requests that it names';

export const namedProofs: Readonly<Record<string, NamedProof>> = {
  'PodSpec.affinity': scheduled("name: 'affinity joins'"),
  'PodSpec.automountServiceAccountToken': account('mounts no token where pod or account say so'),
  'PodSpec.nodeSelector': scheduled("name: 'node selector'"),
  'PodSpec.preemptionPolicy': scheduled(
    "name: 'lower priority on a full node, of a pod that does not preempt'",
  ),
  'PodSpec.priorityClassName': classed,
  'PodSpec.schedulerName': settled('a pod of another scheduler is left to that'),
  'PodSpec.schedulingGroup': {
    file: 'control-plane/scheduler/gang/gang.test.ts',
    name: 'takes nothing until there is room for its minimum',
  },
  'PodSpec.schedulingGates': settled('a pod with scheduling gates waits for them to go'),
  'PodSpec.serviceAccount': account('takes the old name of the field'),
  'PodSpec.tolerations': scheduled("name: 'a tolerated taint is no obstacle'"),
  'PodSpec.topologySpreadConstraints': scheduled("name: 'topology spread refuses a skew'"),
  'Container.resizePolicy': resized('a restart that frees memory: the pod waits for it'),
  'ContainerResizePolicy.resourceName': resized('a restart of one resource does not come of another'),
  'ContainerResizePolicy.restartPolicy': resized('a restart that frees memory: the pod waits for it'),
  ...Object.fromEntries(
    (
      'lifecycle livenessProbe ports readinessProbe resizePolicy resources restartPolicy restartPolicyRules ' +
      'startupProbe'
    )
      .split(' ')
      .map((field) => [`EphemeralContainer.${field}`, refused]),
  ),
  'LifecycleHandler.httpGet': probed('a good answer'),
  'LifecycleHandler.tcpSocket': probed('an open port'),
  'Probe.httpGet': probed('a good answer'),
  'Probe.tcpSocket': probed('an open port'),
  'Probe.grpc': probed('a serving service'),
  'HTTPGetAction.host': probed('another host'),
  'HTTPGetAction.httpHeaders': probed('a header'),
  'HTTPGetAction.path': probed('a bad answer'),
  'HTTPGetAction.port': probed('a port that nobody has'),
  'HTTPGetAction.scheme': probed('TLS where there is none'),
  'HTTPHeader.name': probed('sends headers as often as they are given, as bytes'),
  'HTTPHeader.value': probed('sends headers as often as they are given, as bytes'),
  'TCPSocketAction.host': probed('an open port of another host'),
  'TCPSocketAction.port': probed('a closed port'),
  'GRPCAction.port': probed('no gRPC server'),
  'GRPCAction.service': probed('a service that is down'),
  'ContainerPort.name': probed('a good answer'),
  'PodResourceClaim.name': claimed(
    'prepares what each claim was given once, also over a restart, and undoes it once',
  ),
  'PodResourceClaim.resourceClaimName': claimed('says why a pod cannot have a claim'),
  'PodResourceClaim.resourceClaimTemplateName': allocated(
    'a pod of a template gets a claim, a device and its node; done, the device is free again',
  ),
  'ResourceClaim.name': claimed(ofRequests),
  'ResourceClaim.request': claimed(ofRequests),
  'ResourceRequirements.claims': claimed(ofRequests),
  'PodSecurityContext.fsGroupChangePolicy': {
    file: 'agent/volume/claims/claims.test.ts',
    name: 'is left as it is by fsGroupChangePolicy OnRootMismatch where itself is the group’s',
  },
  'EphemeralVolumeSource.volumeClaimTemplate': {
    file: 'control-plane/controllers/persistent-volume/persistent-volumes.test.ts',
    name: 'have claims made of their ephemeral volumes',
  },
  'CSIVolumeSource.fsType': driven,
  'CSIVolumeSource.nodePublishSecretRef': driven,
  'CSIVolumeSource.readOnly': driven,
  'CSIVolumeSource.volumeAttributes': driven,
};
