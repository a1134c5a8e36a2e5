import { forbiddenField, type FieldError } from '#api/errors/field-error.ts';
import { at, isObject, listOf, numberOf, objectsOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** A container that has ended for good stays so (ValidateContainerStateTransition and its neighbours). */
export function transitionErrors(
  before: JsonObject,
  after: JsonObject,
  spec: JsonObject,
): readonly FieldError[] {
  const mayRestart =
    (list: string) =>
    (name: unknown, exitCode: number): boolean => {
      const container = objectsOf(spec[list]).find((one) => one['name'] === name);
      return container !== undefined && restarts(container, spec, exitCode);
    };
  const never = (): boolean => false;
  const [own, init] = restartsAll(spec)
    ? [[], []]
    : [
        listErrors(before, after, 'containerStatuses', mayRestart('containers')),
        listErrors(before, after, 'initContainerStatuses', mayRestart('initContainers')),
      ];
  return [...own, ...init, ...listErrors(before, after, 'ephemeralContainerStatuses', never)];
}

function listErrors(
  before: JsonObject,
  after: JsonObject,
  list: string,
  mayRestart: (name: unknown, exitCode: number) => boolean,
): readonly FieldError[] {
  const given = objectsOf(after[list]);
  return objectsOf(before[list]).flatMap(({ name, state }, index) => {
    const ended = at(state, 'terminated');
    const next = given.find((status) => status['name'] === name);
    if (!isObject(ended) || next === undefined || isObject(at(next, 'state.terminated'))) return [];
    return mayRestart(name, numberOf(ended['exitCode']))
      ? []
      : [forbiddenField(`status.${list}[${index}].state`, 'may not be transitioned to non-terminated state')];
  });
}

/** Whether one container can have all others start anew (KEP-5532). */
function restartsAll(spec: JsonObject): boolean {
  return ['containers', 'initContainers'].some((list) =>
    objectsOf(spec[list]).some((container) =>
      objectsOf(container['restartPolicyRules']).some(({ action }) => action === 'RestartAllContainers'),
    ),
  );
}

/** By the rule that speaks of the exit code, else by the container's policy, else by the pod's (ContainerShouldRestart). */
function restarts(container: JsonObject, spec: JsonObject, exitCode: number): boolean {
  const { restartPolicy: own } = container;
  const isRuled =
    own !== undefined &&
    objectsOf(container['restartPolicyRules']).some((rule) => {
      const isNamed = listOf(at(rule, 'exitCodes.values')).includes(exitCode);
      return at(rule, 'exitCodes.operator') === 'NotIn' ? !isNamed : isNamed;
    });
  const policy = own ?? spec['restartPolicy'];
  return isRuled || policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}
