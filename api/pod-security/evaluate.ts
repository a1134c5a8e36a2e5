import { baselineControls } from './baseline.ts';
import type { Complaint, Control, ControlVersion, JudgedPod } from './control.ts';
import type { LevelVersion, Version } from './policy.ts';
import { restrictedControls } from './restricted.ts';

/** All of them, in the order of complaints. */
export const controls: readonly Control[] = [...baselineControls, ...restrictedControls];

/** The newest minor version that changed a control: what `latest`, and what is newer, comes to. */
export const newestMinor: number = Math.max(
  ...controls.flatMap(({ versions }) => versions.map(({ since }) => since)),
);

/** The checks of a level and version, in order. Pure. */
export function checksOf({ level, version }: LevelVersion): readonly ControlVersion[] {
  if (level === 'privileged') return [];
  const minor = minorOf(version);
  const baseline = baselineControls.flatMap((control) => checkAt(control, minor));
  if (level === 'baseline') return baseline.map(({ check }) => check);
  const restricted = restrictedControls.flatMap((control) => checkAt(control, minor));
  const overridden = new Set(restricted.flatMap(({ check }) => check.overrides ?? []));
  return [...baseline.filter(({ id }) => !overridden.has(id)), ...restricted].map(({ check }) => check);
}

function minorOf(version: Version): number {
  return version === 'latest' ? newestMinor : Math.min(version, newestMinor);
}

function checkAt(
  { id, versions }: Control,
  minor: number,
): readonly { readonly id: string; readonly check: ControlVersion }[] {
  const check = versions.findLast(({ since }) => since <= minor);
  return check === undefined ? [] : [{ id, check }];
}

/** All that is wrong with a pod; none: it may be as it is. Pure. */
export function evaluate(policy: LevelVersion, pod: JudgedPod): readonly Complaint[] {
  return checksOf(policy).flatMap(({ check }) => check(pod) ?? []);
}

/** `host namespaces (hostPID=true), hostPort (…)`. */
export function complaintsText(complaints: readonly Complaint[]): string {
  return complaints.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
}

/** `host namespaces, hostPort`: the same of many pods. */
export function reasonsText(complaints: readonly Complaint[]): string {
  return complaints.map(({ reason }) => reason).join(', ');
}
