/** What a file makes that its own pods and claims ask for: the server, which is shown each object alone, does not have it yet. Pure. */
import type { PersistentVolumeClaim, Pod, PriorityClass } from '#api/generated/objects.ts';
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import { claimClass, defaultClassOf } from '#api/volume/claim.ts';
import { planEphemeral } from '#control-plane/controllers/ephemeral-volume/plan.ts';
import type { Observed, WantedPod } from './observed.ts';

/** The pod, as it may be shown before its PriorityClass is there. */
export function withoutNewClass(pod: Pod, classes: readonly PriorityClass[]): Pod {
  if (newClassOf(pod, classes) === undefined) return pod;
  const { priorityClassName: _name, ...spec } = pod.spec ?? { containers: [] };
  return { ...pod, spec };
}

/** What was answered of it, with what the class would give. */
export function withNewClass(answer: Pod, pod: Pod, classes: readonly PriorityClass[]): Pod {
  const found = newClassOf(pod, classes);
  if (found === undefined) return answer;
  const { value, preemptionPolicy = 'PreemptLowerPriority' } = found;
  const { priorityClassName } = pod.spec ?? {};
  return {
    ...answer,
    spec: { containers: [], ...answer.spec, priorityClassName, priority: value, preemptionPolicy },
  };
}

function newClassOf({ spec }: Pod, classes: readonly PriorityClass[]): PriorityClass | undefined {
  return classes.find(({ metadata }) => metadata?.name === spec?.priorityClassName);
}

type Storage = Pick<Observed, 'claims' | 'volumes' | 'classes'>;

/**
 * Volumes and classes of the file beside those that are there, and of claims those that are new: of the file, of its StatefulSets, and of ephemeral
 * volumes of its pods. One that names no class gets the default one, as admission has it.
 */
export function storageWith(
  made: Storage & { readonly pods: readonly WantedPod[] },
  observed: Observed,
): Storage {
  const classes = withNew(observed.classes, made.classes);
  const byDefault = defaultClassOf(classes)?.metadata?.name;
  const there = new Set(observed.claims.map(objectKey));
  const ephemeral = made.pods.flatMap(({ pod }) =>
    planEphemeral(pod, (name) =>
      observed.claims.find(
        ({ metadata }) => metadata?.namespace === pod.metadata?.namespace && metadata?.name === name,
      ),
    ).flatMap((step) => (step.kind === 'createClaim' ? [step.claim] : [])),
  );
  const claims = [...made.claims, ...ephemeral]
    .filter((claim) => !there.has(objectKey(claim)))
    .map((claim) => withClass(claim, byDefault));
  return { claims, classes, volumes: withNew(observed.volumes, made.volumes) };
}

function withClass(claim: PersistentVolumeClaim, name: string | undefined): PersistentVolumeClaim {
  if (name === undefined || claimClass(claim) !== undefined) return claim;
  return { ...claim, spec: { ...claim.spec, storageClassName: name } };
}

/** What is there stays as it is: little of it may be changed. */
function withNew<T extends KubeObject>(there: readonly T[], made: readonly T[]): readonly T[] {
  const names = new Set(there.map(objectKey));
  return [...there, ...made.filter((one) => !names.has(objectKey(one)))];
}
