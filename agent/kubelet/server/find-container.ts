import type { ContainerStatus, Pod } from '#api/generated/objects.ts';
import type { ContainerObservation, Runtime } from '#agent/runtime/runtime.ts';
import { idOf } from '#agent/kubelet/status/container-status.ts';

/** A refusal in the words that kubectl shows. */
export interface HttpProblem {
  readonly status: 400 | 403 | 404 | 405 | 422 | 500;
  readonly message: string;
}

export interface ContainerSearch {
  readonly runtime: Runtime;
  readonly podByName: (namespace: string, name: string) => Pod | undefined;
}

export interface ContainerName {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string | undefined;
  readonly container: string;
}

/** The pod of that name. `words`: what is said where there is none, which is not the same everywhere (pkg/kubelet/server). */
export function findPod(
  search: ContainerSearch,
  { namespace, pod: name, uid }: Omit<ContainerName, 'container'>,
  words = `pod "${name}" does not exist`,
): Pod | HttpProblem {
  const pod = search.podByName(namespace, name);
  if (pod === undefined) return { status: 404, message: words };
  const isOther = uid !== undefined && pod.metadata?.uid !== uid;
  return isOther ? { status: 404, message: 'pod not found' } : pod;
}

export function isProblem(value: object): value is HttpProblem {
  return 'message' in value && 'status' in value && typeof value.status === 'number';
}

/** The running container of that name, for an exec or attach. */
export function findRunning(
  search: ContainerSearch,
  name: ContainerName,
  purpose: 'exec' | 'attach',
): { readonly podUid: string; readonly containerId: string } | HttpProblem {
  const pod = findPod(search, { ...name, uid: undefined }, 'pod does not exist');
  if (isProblem(pod)) return pod;
  const podUid = pod.metadata?.uid ?? '';
  // Of another pod of the name there is no container here.
  const isOther = name.uid !== undefined && name.uid !== podUid;
  if (isOther) return { status: 500, message: notRunning[purpose](name) };
  const runs = runsOf(search.runtime, podUid, name.container);
  const running = runs.findLast((run) => run.state.state === 'running');
  if (running !== undefined) return { podUid, containerId: running.id };
  return { status: 500, message: notRunning[purpose](name) };
}

/** The kubelet's words (GetExec, GetAttach in kubelet_pods.go): programs find out by them whether to try again. */
const notRunning: Readonly<Record<'exec' | 'attach', (name: ContainerName) => string>> = {
  exec: ({ container }) => `container not found ("${container}")`,
  attach: ({ container, pod, namespace }) => `container ${container} not found in pod ${pod}_${namespace}`,
};

/** The runs of a container that are still on the node, oldest first. */
export function runsOf(runtime: Runtime, podUid: string, container: string): readonly ContainerObservation[] {
  const runs = runtime.observe(podUid)?.containers.filter((run) => run.name === container) ?? [];
  return runs.toSorted((a, b) => a.attempt - b.attempt);
}

/**
 * What `kubectl logs --previous` is about: the run that the status shows as the last state. While a container waits for its next run that is
 * the newest one, and the one before may be on its way out. `runs` are those of `runsOf`; status: of the container, as it was reported.
 */
export function previousRun(
  runs: readonly ContainerObservation[],
  status: ContainerStatus | undefined,
): ContainerObservation | undefined {
  const latest = runs.at(-1);
  const shown = status?.state?.waiting === undefined ? undefined : status.lastState?.terminated?.containerID;
  const isWaiting = latest?.state.state === 'exited' && shown === idOf(latest);
  return isWaiting ? latest : runs.at(-2);
}
