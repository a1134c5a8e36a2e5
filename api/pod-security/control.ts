import type { Container, EphemeralContainer, PodSecurityContext, PodSpec } from '#api/generated/objects.ts';
import type { Level } from './policy.ts';

/** A pod, or a template of pods, as far as controls look at it. */
export interface JudgedPod {
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

/** What a pod does that it should not: the reason in few words, and who does it. */
export interface Complaint {
  readonly reason: string;
  readonly detail: string;
}

/** Pure. undefined: the pod is as it should be. */
export type Check = (pod: JudgedPod) => Complaint | undefined;

/** A check as it is from a release on, to the next of the control. */
export interface ControlVersion {
  /** The minor version of 1.x. */
  readonly since: number;
  readonly check: Check;
  /** Controls of baseline that this one stands for at level restricted. */
  readonly overrides?: readonly string[];
}

/** One of the Pod Security Standards (k8s.io/pod-security-admission, policy). */
export interface Control {
  /** Complaints are in order of these, those of baseline first. */
  readonly id: string;
  readonly level: Exclude<Level, 'privileged'>;
  /** In order. */
  readonly versions: readonly ControlVersion[];
}

export type AnyContainer = Container | EphemeralContainer;

/** All that may run in a pod, in the order in which complaints name them. */
export function containersOf({
  initContainers = [],
  containers,
  ephemeralContainers = [],
}: PodSpec): readonly AnyContainer[] {
  return [...initContainers, ...containers, ...ephemeralContainers];
}

/** Where something was found, and what. */
export interface Found {
  /** In the security context of the pod. */
  readonly inPod: boolean;
  /** Names, in order of the pod. */
  readonly containers: readonly string[];
  /** Each once, in order of their text. */
  readonly values: readonly string[];
}

/** What is looked for; each gives the values that should not be there. */
export interface Search {
  readonly ofPod?: (context: PodSecurityContext) => readonly string[];
  readonly ofContainer: (container: AnyContainer) => readonly string[];
}

/** undefined: nothing. */
export function search(spec: PodSpec, { ofPod, ofContainer }: Search): Found | undefined {
  const inPod = spec.securityContext === undefined ? [] : (ofPod?.(spec.securityContext) ?? []);
  const inContainers = containersOf(spec)
    .map((container) => ({ name: container.name, values: ofContainer(container) }))
    .filter(({ values }) => values.length > 0);
  if (inPod.length === 0 && inContainers.length === 0) return undefined;
  return {
    inPod: inPod.length > 0,
    containers: inContainers.map(({ name }) => name),
    values: sortedSet([...inPod, ...inContainers.flatMap(({ values }) => values)]),
  };
}

export function sortedSet(values: readonly string[]): readonly string[] {
  return [...new Set(values)].toSorted();
}

/** `pod and containers "a", "b"`, `container "a"`. */
export function whoSets({ inPod, containers }: Found): string {
  return [
    ...(inPod ? ['pod'] : []),
    ...(containers.length > 0 ? [counted('container', containers)] : []),
  ].join(' and ');
}

/** `volume "a"`, `volumes "a", "b"`. */
export function counted(word: string, names: readonly string[]): string {
  return `${plural(word, names)} ${quoted(names)}`;
}

export function plural(word: string, things: readonly unknown[]): string {
  return things.length === 1 ? word : `${word}s`;
}

/** `"a", "b"`: nothing within is escaped. */
export function quoted(texts: readonly string[]): string {
  return texts.map((text) => `"${text}"`).join(', ');
}

/** User namespaces take the sting out of it (KEP-127). */
export function unlessHostUsers(check: Check): Check {
  return (pod) => (pod.spec.hostUsers === false ? undefined : check(pod));
}

/** What only Linux knows is not asked of Windows. */
export function unlessWindows(check: Check): Check {
  return (pod) => (pod.spec.os?.name === 'windows' ? undefined : check(pod));
}
