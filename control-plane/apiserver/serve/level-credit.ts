/** What a level may take at once of time that it has not used, in milliseconds. */
const creditMsMax = 10;
/** Of the one thread, what each level has before it waits for others. */
const ownShare = 0.3;

interface Account {
  ms: number;
  atMs: number;
}

/**
 * Which priority levels have taken less of the thread than is theirs. Levels that take turns are served alike by count; of those that list without end and
 * those that renew a lease a second, the latter would wait a turn of the event loop for each of the former. So each level earns time as it passes and
 * pays for what its requests do before they first wait; with some left, it need not wait for anybody.
 */
export class LevelCredit {
  readonly #accounts = new Map<string, Account>();

  /** Whether it may begin a request at once. Nobody knows yet who is of the level ''. */
  isLeft(level: string, nowMs: number): boolean {
    return level !== '' && this.#accountOf(level, nowMs).ms > 0;
  }

  /** Of these, which has most of it; undefined if none has any. */
  mostOf(levels: Iterable<string>, nowMs: number): string | undefined {
    let [most, mostMs]: [string | undefined, number] = [undefined, 0];
    for (const level of levels) {
      const ms = level === '' ? 0 : this.#accountOf(level, nowMs).ms;
      if (ms > mostMs) [most, mostMs] = [level, ms];
    }
    return most;
  }

  pay(level: string, ms: number, nowMs: number): void {
    if (level !== '') this.#accountOf(level, nowMs).ms -= ms;
  }

  /** There are as many as levels: some ten, and those that were. */
  #accountOf(level: string, nowMs: number): Account {
    let account = this.#accounts.get(level);
    if (account === undefined) {
      account = { ms: creditMsMax, atMs: nowMs };
      this.#accounts.set(level, account);
    }
    account.ms = Math.min(creditMsMax, account.ms + (nowMs - account.atMs) * ownShare);
    account.atMs = nowMs;
    return account;
  }
}
