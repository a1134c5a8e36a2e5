/** What to do about a pod's failure, for who reads the node's log; by the reason of its event. */
const remedies: Readonly<Record<string, string>> = {
  FailedMount: 'make the object or path that the volume names, or correct the volume; it is tried again',
  FailedCreatePodSandBox: 'see the cause; `podwright doctor` says what this host lacks',
  Unhealthy: 'see the container with kubectl logs, and its probe with kubectl describe pod',
  Killing: 'see the container with kubectl logs --previous; correct its probe, or give it more time',
  Evicted:
    'free what the message names on the node, or raise the limit that it names; a controller makes the pod again',
  FailedPostStartHook: 'see the event with kubectl describe pod',
  FailedPreStopHook: 'see the event with kubectl describe pod',
  InspectFailed: 'correct the image of the container',
  ErrImageNeverPull: 'bring the image with `podwright image import`, or let it be pulled (imagePullPolicy)',
  ErrImagePull:
    'check the name and the registry, give imagePullSecrets, or bring the image with `podwright image import`',
  StartError: 'correct the command or working directory of the container',
  CreateContainerConfigError:
    'make the ConfigMap, Secret or volume that is named, or correct the field; it is tried again',
  CreateContainerError:
    'correct the container, or bring a better image of the name; it is tried again, and `podwright doctor` says what this host lacks',
  OOMKilled: 'raise the memory limit of the container',
  Error: 'see why with kubectl logs --previous',
  ContainerStatusUnknown: 'none needed: it is started again where its policy says so',
};

export function remedyFor(reason: string): string {
  return remedies[reason] ?? 'see kubectl describe pod';
}
