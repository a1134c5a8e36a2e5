import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { memberOf } from '#api/wire/json.ts';

/** The Pod Security Standards, from the laxest to the strictest. */
export const levels = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof levels)[number];

/** Of which release the controls are: the minor version of 1.x, or the newest that there are. */
export type Version = number | 'latest';

export interface LevelVersion {
  readonly level: Level;
  readonly version: Version;
}

/** What becomes of a pod that violates: it is refused, it is noted in the audit record, who asked is warned. */
export const modes = ['enforce', 'audit', 'warn'] as const;
export type Mode = (typeof modes)[number];
export type Policy = Readonly<Record<Mode, LevelVersion>>;

const privileged: LevelVersion = { level: 'privileged', version: 'latest' };

/** Of a namespace that says nothing, where no configuration does. */
export const laxPolicy: Policy = { enforce: privileged, audit: privileged, warn: privileged };

const labelPrefix = 'pod-security.kubernetes.io/';

/** What is wrong with a level; undefined: nothing. */
export function levelProblem(text: string): string | undefined {
  return levelOf(text) === undefined ? `must be one of ${levels.join(', ')}` : undefined;
}

/** What is wrong with a version; undefined: nothing. */
export function versionProblem(text: string): string | undefined {
  return versionOf(text) === undefined ? 'must be "latest" or "v1.x"' : undefined;
}

export function levelOf(text: string): Level | undefined {
  return levels.find((level) => level === text);
}

/** `latest`, `v1.25`. */
export function versionOf(text: string): Version | undefined {
  if (text === 'latest') return 'latest';
  const minor = Number(/^v1\.(0|[1-9]\d*)$/.exec(text)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(minor) ? minor : undefined;
}

/** `restricted:v1.25`. */
export function levelVersionText({ level, version }: LevelVersion): string {
  return `${level}:${versionText(version)}`;
}

export function versionText(version: Version): string {
  return version === 'latest' ? 'latest' : `v1.${version}`;
}

export function equalLevelVersion(a: LevelVersion, b: LevelVersion): boolean {
  return a.level === b.level && a.version === b.version;
}

/** Whether a level asks for more than the other. */
export function isStricter(level: Level, other: Level): boolean {
  return levels.indexOf(level) > levels.indexOf(other);
}

export interface ReadPolicy {
  /** Also where something is wrong: then as strict as can be in what is enforced, and lax in what is only told. */
  readonly policy: Policy;
  readonly errors: readonly FieldError[];
}

/**
 * What the labels of a namespace ask for; what they do not say is as in `defaults`, but that who enforces a stricter level than is warned of
 * is warned of that: of what a template would make, which nobody refuses (kubernetes #113491, since 1.26). Pure.
 */
export function readPolicy(labels: Readonly<Record<string, string>>, defaults: Policy): ReadPolicy {
  const enforce = readMode(labels, 'enforce', defaults.enforce);
  const audit = readMode(labels, 'audit', defaults.audit);
  const [isEnforced, isWarned] = (['enforce', 'warn'] as const).map(
    (mode) => memberOf(labels, `${labelPrefix}${mode}`) !== undefined,
  );
  const isImplied = isEnforced && !isWarned && isStricter(enforce.levelVersion.level, defaults.warn.level);
  const warn = readMode(labels, 'warn', isImplied ? enforce.levelVersion : defaults.warn);
  return {
    policy: { enforce: enforce.levelVersion, audit: audit.levelVersion, warn: warn.levelVersion },
    errors: [enforce, audit, warn].flatMap(({ errors }) => errors),
  };
}

function readMode(
  labels: Readonly<Record<string, string>>,
  mode: Mode,
  fallback: LevelVersion,
): { readonly levelVersion: LevelVersion; readonly errors: readonly FieldError[] } {
  const [levelLabel, versionLabel] = [`${labelPrefix}${mode}`, `${labelPrefix}${mode}-version`];
  const [level, version] = [memberOf(labels, levelLabel), memberOf(labels, versionLabel)];
  const unreadable: Level = mode === 'enforce' ? 'restricted' : 'privileged';
  return {
    levelVersion: {
      level: level === undefined ? fallback.level : (levelOf(level) ?? unreadable),
      version: version === undefined ? fallback.version : (versionOf(version) ?? 'latest'),
    },
    errors: [
      ...labelErrors(levelLabel, level, levelProblem),
      ...labelErrors(versionLabel, version, versionProblem),
    ],
  };
}

function labelErrors(
  label: string,
  value: string | undefined,
  problemOf: (text: string) => string | undefined,
): readonly FieldError[] {
  const problem = value === undefined ? undefined : problemOf(value);
  return problem === undefined ? [] : [invalidField(`metadata.labels[${label}]`, value, problem)];
}

/**
 * What who labels an exempt namespace is told: in vain. Named are the modes that labels ask something of. Nothing, where it asks for no more
 * than all namespaces have to.
 */
export function exemptWarnings(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  { policy, defaults }: { readonly policy: Policy; readonly defaults: Policy },
): readonly string[] {
  const isSame = (mode: Mode): boolean =>
    equalLevelVersion(policy[mode], defaults[mode]) ||
    (policy[mode].level === 'privileged' && defaults[mode].level === 'privileged');
  if (modes.every((mode) => policy[mode].level === 'privileged') || modes.every(isSame)) return [];
  const asked = modes
    .filter((mode) => policy[mode].level !== 'privileged')
    .filter((mode) =>
      [mode, `${mode}-version`].some((name) => memberOf(labels, `${labelPrefix}${name}`) !== undefined),
    )
    .map((mode) => `${mode}=${levelVersionText(policy[mode])}`);
  return [
    `namespace "${namespace}" is exempt from Pod Security, and the policy (${asked.join(', ')}) will be ignored`,
  ];
}

/** Whether what a namespace asks for is said otherwise. */
export function changesPolicyLabels(
  old: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return modes
    .flatMap((mode) => [`${labelPrefix}${mode}`, `${labelPrefix}${mode}-version`])
    .some((label) => memberOf(old, label) !== memberOf(labels, label));
}
