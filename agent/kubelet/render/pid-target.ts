/** Whose processes an ephemeral container sees (`kubectl debug --target`). Pure. */
import type { Container, EphemeralContainer, PodSpec } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ContainerObservation } from '#agent/runtime/runtime.ts';

/** The container whose pid namespace this one joins; undefined where it asks for none, or all share one anyway. */
export function pidTargetName(container: Container | EphemeralContainer, spec: PodSpec): string | undefined {
  const name = 'targetContainerName' in container ? (container.targetContainerName ?? '') : '';
  return name === '' || spec.hostPID === true || spec.shareProcessNamespace === true ? undefined : name;
}

/** The id of that container's last run. @throws {E_INVALID} where it does not run: there is no namespace to join */
export function findPidTarget(name: string, containers: readonly ContainerObservation[]): string {
  const last = containers.findLast((container) => container.name === name);
  if (last === undefined) throw new PodwrightError('E_INVALID', `unable to find target container "${name}"`);
  if (last.state.state !== 'running')
    throw new PodwrightError('E_INVALID', `target container "${name}" is not running`);
  return last.id;
}
