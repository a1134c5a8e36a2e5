/**
 * A seccomp profile of a file, as seccomp.security of a pod names it: the runtime specification's LinuxSeccomp (runtime-spec,
 * config-linux.md, "Seccomp"), with what profiles of Docker have besides: archMap, includes and excludes. Pure.
 */
import { constants } from 'node:os';
import { PodwrightError } from '#base/errors.ts';

export type SeccompAction =
  | { readonly kind: 'allow' | 'log' | 'killThread' | 'killProcess' | 'trap' }
  | { readonly kind: 'errno' | 'trace'; readonly value: number };

export type SeccompComparison = 'NE' | 'LT' | 'LE' | 'EQ' | 'GE' | 'GT' | 'MASKED_EQ';

/** Of MASKED_EQ, `value` is the mask and `valueTwo` what is left of the argument by it. */
export interface SeccompCondition {
  readonly index: number; // 0 to 5
  readonly comparison: SeccompComparison;
  readonly value: bigint;
  readonly valueTwo: bigint;
}

/** Holds where all conditions do. */
export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly conditions: readonly SeccompCondition[];
}

export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  /** Names as SCMP_ARCH_X86_64; none: the machine's alone. */
  readonly architectures: readonly string[];
  /** SECCOMP_FILTER_FLAG_* of linux/seccomp.h. */
  readonly flags: number;
  readonly rules: readonly SeccompRule[];
}

/** For whom a profile is read: rules may be for some of them. */
export interface ProfileReader {
  readonly capabilities: readonly string[];
  /** amd64, arm64 */
  readonly machine: string;
  /** `6.1.0-18-amd64` */
  readonly kernelRelease: string;
}

type Json = Readonly<Record<string, unknown>>;

const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
};

const comparisons: readonly SeccompComparison[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'];
/** More than a kernel has system calls, with names of other architectures. */
const rulesMax = 4096;

/** @throws {E_INVALID, E_UNSUPPORTED} naming what in it does not serve */
export function parseSeccompProfile(text: string, reader: ProfileReader): SeccompProfile {
  const document = readJson(text);
  const listener = document['listenerPath'];
  if (listener !== undefined && listener !== '')
    throw new PodwrightError('E_UNSUPPORTED', 'listenerPath: nobody here answers for system calls');
  const entries = listOf(document, 'syscalls');
  if (entries.length > rulesMax) throw invalid(`syscalls: ${entries.length} entries, at most ${rulesMax}`);
  return {
    defaultAction: actionOf(document['defaultAction'], document['defaultErrnoRet'], 'defaultAction'),
    architectures: architecturesOf(document),
    flags: stringsOf(document, 'flags').reduce((sum, name) => sum | flagOf(name), 0),
    rules: entries.flatMap((entry, index) => rulesOf(entry, `syscalls[${index}]`, reader)),
  };
}

function readJson(text: string): Json {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `not JSON: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    });
  }
  return objectOf(document, 'a profile');
}

function architecturesOf(document: Json): readonly string[] {
  const mapped = listOf(document, 'archMap').flatMap((entry, index) => {
    const { architecture, ...rest } = objectOf(entry, `archMap[${index}]`);
    return [String(architecture), ...stringsOf(rest, 'subArchitectures')];
  });
  return [...stringsOf(document, 'architectures'), ...mapped];
}

function flagOf(name: string): number {
  const flag = filterFlags[name];
  if (flag === undefined) throw new PodwrightError('E_UNSUPPORTED', `flags: ${name} is not supported`);
  return flag;
}

/** None where the entry is for others; several where it has two conditions on one argument, of which one is enough (runc, libcontainer/seccomp). */
function rulesOf(entry: unknown, at: string, reader: ProfileReader): readonly SeccompRule[] {
  const rule = objectOf(entry, at);
  if (!isFor(rule, reader, at)) return [];
  const names = rule['name'] === undefined ? stringsOf(rule, 'names') : [String(rule['name'])];
  const action = actionOf(rule['action'], rule['errnoRet'], `${at}.action`);
  const conditions = listOf(rule, 'args').map((arg, index) => conditionOf(arg, `${at}.args[${index}]`));
  const isTwice = new Set(conditions.map(({ index }) => index)).size < conditions.length;
  if (!isTwice) return [{ names, action, conditions }];
  return conditions.map((condition) => ({ names, action, conditions: [condition] }));
}

function isFor(rule: Json, reader: ProfileReader, at: string): boolean {
  const includes = objectOf(rule['includes'] ?? {}, `${at}.includes`);
  const excludes = objectOf(rule['excludes'] ?? {}, `${at}.excludes`);
  const kernel = (filter: Json): boolean => isAtLeast(reader.kernelRelease, String(filter['minKernel']));
  const has = (name: string): boolean => reader.capabilities.includes(name);
  const isIncluded =
    (includes['arches'] === undefined || stringsOf(includes, 'arches').includes(reader.machine)) &&
    stringsOf(includes, 'caps').every(has) &&
    (includes['minKernel'] === undefined || kernel(includes));
  const isExcluded =
    stringsOf(excludes, 'arches').includes(reader.machine) ||
    stringsOf(excludes, 'caps').some(has) ||
    (excludes['minKernel'] !== undefined && kernel(excludes));
  return isIncluded && !isExcluded;
}

function isAtLeast(release: string, wanted: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor = NaN, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function conditionOf(arg: unknown, at: string): SeccompCondition {
  const { index, value, valueTwo = 0, op } = objectOf(arg, at);
  const comparison = comparisons.find((known) => op === `SCMP_CMP_${known}`);
  if (comparison === undefined) throw invalid(`${at}.op: ${JSON.stringify(op)} is no comparison`);
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > 5)
    throw invalid(`${at}.index: an argument is 0 to 5`);
  return {
    index,
    comparison,
    value: wordOf(value, `${at}.value`),
    valueTwo: wordOf(valueTwo, `${at}.valueTwo`),
  };
}

function wordOf(value: unknown, at: string): bigint {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= 2 ** 64)
    throw invalid(`${at}: not a number of 64 bits`);
  return BigInt(value);
}

const EPERM = constants.errno.EPERM;

function actionOf(name: unknown, errno: unknown, at: string): SeccompAction {
  if (errno !== undefined && errno !== null && (typeof errno !== 'number' || errno < 0 || errno > 0xffff))
    throw invalid(`${at}: errno ${JSON.stringify(errno)}`);
  const value = typeof errno === 'number' ? errno : EPERM;
  switch (name) {
    case 'SCMP_ACT_ALLOW':
      return { kind: 'allow' };
    case 'SCMP_ACT_LOG':
      return { kind: 'log' };
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return { kind: 'killThread' };
    case 'SCMP_ACT_KILL_PROCESS':
      return { kind: 'killProcess' };
    case 'SCMP_ACT_TRAP':
      return { kind: 'trap' };
    case 'SCMP_ACT_ERRNO':
      return { kind: 'errno', value };
    case 'SCMP_ACT_TRACE':
      return { kind: 'trace', value };
    case 'SCMP_ACT_NOTIFY':
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `${at}: SCMP_ACT_NOTIFY: nobody here answers for system calls`,
      );
    default:
      throw invalid(`${at}: ${JSON.stringify(name)} is no action`);
  }
}

function objectOf(value: unknown, at: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw invalid(`${at}: not an object`);
}

function listOf(document: Json, key: string): readonly unknown[] {
  const value = document[key] ?? [];
  if (Array.isArray(value)) return value;
  throw invalid(`${key}: not a list`);
}

function stringsOf(document: Json, key: string): readonly string[] {
  return listOf(document, key).map((value) => {
    if (typeof value === 'string') return value;
    throw invalid(`${key}: not a list of texts`);
  });
}

function invalid(why: string): PodwrightError {
  return new PodwrightError('E_INVALID', why);
}
