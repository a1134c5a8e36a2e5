/** What a level may take at once of time that it has not used, in milliseconds. */
const creditMsMax = 10;
/** What is remembered of what it took beyond its share: who took much waits longer than who took a little too much. */
const debtMsMax = 30;
/** Of the one thread, what each level has before it waits for others. */
const ownShare = 0.3;

interface Account {
  ms: number;
  atMs: number;
}

/**
 * Which priority levels have taken less of the thread than is theirs. Levels that take turns are served alike by count; of those that list without end and
 * those that renew a lease a second, the latter would wait a turn of the event loop for each of the former. So each level earns time as it passes and
 * pays for what its requests do before they first wait; with some left, it need not wait for anybody. Of those who have none, who owes least comes first.
 */
export class LevelCredit {
  readonly #accounts = new Map<string, Account>();

  /** Whether it may begin a request at once. Nobody knows yet who is of the level ''. */
  isLeft(level: string, nowMs: number): boolean {
    return this.#accountOf(level, nowMs).ms > 0;
  }

  /** Of these, which has most of it, or owes least; of equals the first. */
  mostOf(levels: Iterable<string>, nowMs: number): string | undefined {
    let [most, mostMs]: [string | undefined, number] = [undefined, -Infinity];
    for (const level of levels) {
      const { ms } = this.#accountOf(level, nowMs);
      if (ms > mostMs) [most, mostMs] = [level, ms];
    }
    return most;
  }

  pay(level: string, ms: number, nowMs: number): void {
    const account = this.#accountOf(level, nowMs);
    account.ms = Math.max(-debtMsMax, account.ms - ms);
  }

  /** There are as many as levels: some ten, and those that were. */
  #accountOf(level: string, nowMs: number): Account {
    const msMax = level === '' ? 0 : creditMsMax; // Of those who have not said who they are there may be any number.
    let account = this.#accounts.get(level);
    if (account === undefined) {
      account = { ms: msMax, atMs: nowMs };
      this.#accounts.set(level, account);
    }
    account.ms = Math.min(msMax, account.ms + (nowMs - account.atMs) * ownShare);
    account.atMs = nowMs;
    return account;
  }
}
