/** Limits of processes that every container of a node has (getrlimit(2)): pods of Kubernetes 1.36 and CRI v1 name none. Pure. */
import { PodwrightError } from '#base/errors.ts';
import { RLIMIT } from '#native/launch/kernel-constants.ts';
import type { LaunchRlimit } from '#native/launch/launch.ts';

const shape = /^([a-z]+)=(-1|unlimited|\d{1,15})(?::(-1|unlimited|\d{1,15}))?$/;

/** `nofile=1024:1048576`: the soft limit, and the hard one where that is another, in units of setrlimit(2). @throws {E_INVALID} */
export function parseUlimit(text: string): LaunchRlimit {
  const [, word = '', soft = '', hard = soft] = shape.exec(text) ?? [];
  const fail = (why: string): PodwrightError => new PodwrightError('E_INVALID', `${text}: ${why}`);
  if (word === '') throw fail('no limit; write NAME=SOFT:HARD, as nofile=1024:1048576');
  const name = `RLIMIT_${word.toUpperCase()}`;
  if (RLIMIT[name] === undefined) {
    const known = Object.keys(RLIMIT).map((each) => each.slice('RLIMIT_'.length).toLowerCase());
    throw fail(`no limit is called so; there are ${known.join(', ')}`);
  }
  const numberOf = (value: string): number => (value === 'unlimited' ? -1 : Number(value));
  const limit = { name, soft: numberOf(soft), hard: numberOf(hard) };
  const isAbove = limit.hard >= 0 && (limit.soft < 0 || limit.soft > limit.hard);
  if (isAbove) throw fail('the soft limit is above the hard one');
  return limit;
}

/** What is wrong with limits that are given together, each beginning with the option's name. */
export function ulimitProblems(texts: readonly string[] = []): readonly string[] {
  const names = new Set<string>();
  return texts.flatMap((text) => {
    try {
      const { name } = parseUlimit(text);
      if (names.has(name)) return [`--default-ulimit ${text}: it is given twice`];
      names.add(name);
      return [];
    } catch (error) {
      if (error instanceof PodwrightError) return [`--default-ulimit ${error.message}`];
      throw error;
    }
  });
}
