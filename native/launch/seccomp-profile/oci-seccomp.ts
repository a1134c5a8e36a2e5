/**
 * What a container may call, as another OCI runtime is told it (runtime-spec, config-linux.md, "Seccomp"): the same decisions that are
 * compiled to a filter where we start it ourselves. Pure.
 */
import { constants } from 'node:os';
import { opensByHandle, verdictOf } from '#native/launch/seccomp.ts';
import type { Verdict } from '#native/launch/seccomp.ts';
import { syscallsOf } from '#native/launch/syscall-numbers.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import type { SeccompAction, SeccompCondition, SeccompProfile } from './profile.ts';

export interface OciSeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

export interface OciSeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly OciSeccompArgument[];
}

export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls: readonly OciSeccompRule[];
}

/** Those whose programs the kernel runs beside its own. */
const architectures: Readonly<Record<Architecture, readonly string[]>> = {
  x86_64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  aarch64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};
const { EPERM, ENOSYS } = constants.errno;

/** The filter `runtime-default`; of another architecture's programs, which it gives ENOSYS, the runtime ends the thread. */
export function renderDefaultSeccomp(
  capabilities: readonly string[],
  architecture: Architecture,
): OciSeccomp {
  const own = new Set(capabilities);
  const names = [...syscallsOf(architecture).keys()];
  const of = (isIt: (verdict: Verdict) => boolean): readonly string[] =>
    names.filter((name) => isIt(verdictOf(name, own)));
  const plain: readonly OciSeccompRule[] = [
    { names: of(({ kind }) => kind === 'allow'), action: 'SCMP_ACT_ALLOW' },
    {
      names: of((verdict) => verdict.kind === 'errno' && verdict.errno === EPERM),
      action: 'SCMP_ACT_ERRNO',
      errnoRet: EPERM,
    },
  ];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    syscalls: [
      ...plain.filter((rule) => rule.names.length > 0),
      ...names.flatMap((name) => conditional(name, verdictOf(name, own))),
    ],
  };
}

/** Of what is looked at its argument of: libseccomp refuses what no rule holds for with the default, which would be ENOSYS. */
function conditional(name: string, verdict: Verdict): readonly OciSeccompRule[] {
  const rule = (isAllowed: boolean, args: readonly OciSeccompArgument[]): OciSeccompRule =>
    isAllowed
      ? { names: [name], action: 'SCMP_ACT_ALLOW', args }
      : { names: [name], action: 'SCMP_ACT_ERRNO', errnoRet: EPERM, args };
  switch (verdict.kind) {
    case 'allow':
    case 'errno':
      return [];
    case 'values': {
      const { values, isAllowed } = verdict;
      if (isAllowed) return values.map((value) => rule(true, [{ index: 0, value, op: 'SCMP_CMP_EQ' }]));
      const [value = 0] = values;
      return [
        rule(true, [{ index: 0, value, op: 'SCMP_CMP_NE' }]),
        rule(false, [{ index: 0, value, op: 'SCMP_CMP_EQ' }]),
      ];
    }
    case 'without-bits':
      return [rule(true, [{ index: 0, value: verdict.bits, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }])];
  }
}

/** For who is otherwise unconfined: nothing opened by handle; undefined where nobody has to be kept from it. */
export function renderUnconfinedSeccomp(
  capabilities: readonly string[],
  architecture: Architecture,
): OciSeccomp | undefined {
  if (!opensByHandle(capabilities)) return undefined;
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: architectures[architecture],
    syscalls: [{ names: ['open_by_handle_at'], action: 'SCMP_ACT_ERRNO', errnoRet: EPERM }],
  };
}

/** A profile of a file, of which what is for others (includes, excludes) is already left out. */
export function renderProfileSeccomp(profile: SeccompProfile): OciSeccomp {
  const { name, errno } = actionOf(profile.defaultAction);
  const flags = Object.entries(flagNames).filter(([, bit]) => (profile.flags & bit) !== 0);
  return {
    defaultAction: name,
    ...(errno === undefined ? {} : { defaultErrnoRet: errno }),
    ...(profile.architectures.length === 0 ? {} : { architectures: profile.architectures }),
    ...(flags.length === 0 ? {} : { flags: flags.map(([flag]) => flag) }),
    syscalls: profile.rules.map(({ names, action, conditions }) => {
      const own = actionOf(action);
      return {
        names,
        action: own.name,
        ...(own.errno === undefined ? {} : { errnoRet: own.errno }),
        ...(conditions.length === 0 ? {} : { args: conditions.map(argumentOf) }),
      };
    }),
  };
}

const flagNames = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
};

function argumentOf({ index, comparison, value, valueTwo }: SeccompCondition): OciSeccompArgument {
  return { index, value: Number(value), valueTwo: Number(valueTwo), op: `SCMP_CMP_${comparison}` };
}

function actionOf(action: SeccompAction): { readonly name: string; readonly errno?: number } {
  switch (action.kind) {
    case 'allow':
      return { name: 'SCMP_ACT_ALLOW' };
    case 'log':
      return { name: 'SCMP_ACT_LOG' };
    case 'killThread':
      return { name: 'SCMP_ACT_KILL' };
    case 'killProcess':
      return { name: 'SCMP_ACT_KILL_PROCESS' };
    case 'trap':
      return { name: 'SCMP_ACT_TRAP' };
    case 'errno':
      return { name: 'SCMP_ACT_ERRNO', errno: action.value };
    case 'trace':
      return { name: 'SCMP_ACT_TRACE', errno: action.value };
  }
}
