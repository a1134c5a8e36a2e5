import { findCondition } from '#api/meta/condition.ts';
import { isPodReady, isTerminal, isTerminating } from '#api/pod/state.ts';
import type { Pod } from '#api/generated/objects.ts';
import { nameOf, stop, type Finding } from './observed.ts';

/** Why a pod is no ready endpoint; undefined: it is ready. Pure. */
export function findPodFault(pod: Pod): Finding | undefined {
  const name = `pod ${nameOf(pod)}`;
  if (isTerminal(pod))
    return stop(
      'pod-not-running',
      `${name} has ended (${pod.status?.phase})`,
      'see why: kubectl describe pod',
    );
  if (isTerminating(pod))
    return stop('pod-not-ready', `${name} is being deleted`, 'wait for the pod that takes its place');
  if (pod.spec?.nodeName === undefined || pod.spec.nodeName === '') {
    const why =
      findCondition(pod.status?.conditions, 'PodScheduled')?.message ?? 'no node has been chosen yet';
    const remedy = 'make room on a node, or change what the pod asks for';
    const isPort = /free ports/.test(why);
    return isPort
      ? stop('host-port-conflict', `${name} has no node: ${why}`, 'free the hostPort, or take another')
      : stop('pod-not-running', `${name} has no node: ${why}`, remedy);
  }
  const waiting = [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ].find(({ state }) => state?.waiting !== undefined && state.waiting.reason !== 'PodInitializing');
  if (waiting !== undefined) {
    const { reason = 'waiting', message } = waiting.state?.waiting ?? {};
    const says = `${name}: container ${waiting.name} does not run: ${reason}${message === undefined ? '' : `: ${message}`}`;
    return stop(
      'pod-not-running',
      says,
      `kubectl logs ${pod.metadata?.name ?? ''} -c ${waiting.name} --previous`,
    );
  }
  if (isPodReady(pod)) return undefined;
  return unreadyFault(pod, name);
}

/** It runs, and is not ready. */
function unreadyFault(pod: Pod, name: string): Finding {
  const statuses = new Map((pod.status?.containerStatuses ?? []).map((one) => [one.name, one]));
  const failing = (pod.spec?.containers ?? []).find(
    (one) => one.readinessProbe !== undefined && statuses.get(one.name)?.ready === false,
  );
  if (failing?.readinessProbe !== undefined) {
    const { httpGet, tcpSocket, grpc, exec } = failing.readinessProbe;
    const asked =
      httpGet !== undefined
        ? `GET ${httpGet.path ?? '/'} on port ${String(httpGet.port)}`
        : tcpSocket !== undefined
          ? `a connection to port ${String(tcpSocket.port)}`
          : grpc !== undefined
            ? `gRPC health on port ${grpc.port}`
            : (exec?.command ?? []).join(' ');
    const says = `${name} is not ready: the readiness probe of ${failing.name} (${asked}) does not succeed`;
    return stop(
      'readiness-failing',
      says,
      'mend the program or the probe: kubectl describe pod says what it got',
    );
  }
  const gate = (pod.spec?.readinessGates ?? []).find(
    ({ conditionType }) => findCondition(pod.status?.conditions, conditionType)?.status !== 'True',
  );
  const why =
    gate === undefined
      ? (findCondition(pod.status?.conditions, 'Ready')?.message ?? 'its containers have not started')
      : `its readiness gate ${gate.conditionType} is not True`;
  return stop('pod-not-ready', `${name} is not ready: ${why}`, 'kubectl describe pod says what it waits for');
}
