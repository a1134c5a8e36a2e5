import type { Container, EphemeralContainer } from '#api/generated/objects.ts';
import { memberOf } from '#api/wire/json.ts';
import type { JudgedPod } from './control.ts';

/** Annotations that controls look at begin so. */
const judgedAnnotations: readonly string[] = [
  'seccomp.security.alpha.kubernetes.io/pod',
  'container.seccomp.security.alpha.kubernetes.io/',
  'container.apparmor.security.beta.kubernetes.io/',
];

/**
 * Whether a pod is judged anew when it is changed so: for other images and new ephemeral containers (upstream's isSignificantPodUpdate), and
 * for the annotations that controls look at, which a 1.36 forgets (kubernetes #141461). All else that may be changed says nothing to
 * controls. Pure.
 */
export function isSignificantUpdate(old: JudgedPod, pod: JudgedPod): boolean {
  const { initContainers: oldInit = [], ephemeralContainers: oldEphemeral = [] } = old.spec;
  const { initContainers = [], ephemeralContainers = [] } = pod.spec;
  const isChanged = (container: AnyNamed, before: AnyNamed | undefined): boolean =>
    before === undefined || container.image !== before.image;
  return (
    changesAnnotations(old.annotations, pod.annotations) ||
    pod.spec.containers.length !== old.spec.containers.length ||
    initContainers.length !== oldInit.length ||
    pod.spec.containers.some((container, index) => isChanged(container, old.spec.containers[index])) ||
    initContainers.some((container, index) => isChanged(container, oldInit[index])) ||
    ephemeralContainers.some((container) =>
      isChanged(
        container,
        oldEphemeral.find(({ name }) => name === container.name),
      ),
    )
  );
}

type AnyNamed = Pick<Container | EphemeralContainer, 'name' | 'image'>;
type Annotations = JudgedPod['annotations'];

function changesAnnotations(old: Annotations, annotations: Annotations): boolean {
  return [...Object.keys(old), ...Object.keys(annotations)]
    .filter((key) => judgedAnnotations.some((begin) => key.startsWith(begin)))
    .some((key) => memberOf(old, key) !== memberOf(annotations, key));
}
