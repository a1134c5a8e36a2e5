import { readFile, stat } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';

/** What a file says, as of now. */
export interface WatchedFile<T> extends Disposable {
  readonly value: T;
  /** Of which it was made. */
  readonly text: string;
}

export interface WatchOptions<T> {
  /** As it was given on the command line, for messages: `--client-ca-file`. */
  readonly option: string;
  readonly path: string;
  /** @throws what is wrong with it */
  readonly parse: (text: string) => T | Promise<T>;
  /** Asked before a new value is taken: where it throws, it is asked again at each look. */
  readonly onOffer?: (value: T) => Promise<void>;
  /** Told of a new value. */
  readonly onChange?: (value: T) => void;
  /** Told of each look at a file that had changed: its new text; undefined: it was not taken. */
  readonly onReload?: (taken: string | undefined) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often a file is looked at; only what changed is read. */
const lookMs = 1_000;
const bytesMax = 4_194_304;

/**
 * Reads a file, and again whenever it has changed. A new text that is wrong is told of in the log, and the old one goes on.
 * @throws E_USAGE where it cannot be read, or is wrong, at first
 */
export async function watchFile<T>(options: WatchOptions<T>): Promise<WatchedFile<T>> {
  const { option, path, parse, clock, logger } = options;
  const readNow = async (): Promise<{ readonly text: string; readonly stamp: string }> => {
    const stamp = await stampOf(path);
    return { text: await readFile(path, 'utf8'), stamp };
  };
  let value: T;
  let known: { readonly text: string; readonly stamp: string };
  try {
    known = await readNow();
    value = await parse(known.text);
  } catch (error) {
    throw new PodwrightError('E_USAGE', `start the server: ${option} ${path}: ${describeError(error)}`);
  }
  let isOver = false;
  let { text } = known;
  /** What is right in itself, and was not taken yet. */
  let offered: { readonly value: T; readonly text: string } | undefined;
  const readAgain = async (): Promise<void> => {
    if ((await stampOf(path)) === known.stamp) return;
    const read = await readNow();
    const isSame = read.text === known.text;
    known = read;
    if (isSame) return;
    offered = undefined;
    offered = { value: await parse(read.text), text: read.text };
  };
  const look = async (): Promise<void> => {
    await readAgain();
    if (offered === undefined || isOver) return;
    await options.onOffer?.(offered.value);
    if (isOver) return;
    ({ value, text } = offered);
    offered = undefined;
    logger.info({ option, path }, 'file has changed, and is taken');
    options.onReload?.(text);
    options.onChange?.(value);
  };
  let complaint = '';
  const step = (): void => {
    void look()
      .then(() => (complaint = ''))
      .catch((error: unknown) => {
        const text = describeError(error);
        if (text === complaint || isOver) return; // A file that is away is said once.
        complaint = text;
        logger.error(
          { option, path, error: text },
          'file has changed and is wrong: what it said before stays',
        );
        options.onReload?.(undefined);
      })
      .then(() => {
        if (!isOver) timer = clock.after(lookMs, step);
      });
  };
  let timer = clock.after(lookMs, step);
  return {
    get value() {
      return value;
    },
    get text() {
      return text;
    },
    [Symbol.dispose]: () => {
      isOver = true;
      timer[Symbol.dispose]();
    },
  };
}

/** Another one whenever the file may say something else. A file that is replaced by its directory's link (a mounted Secret) has another inode. */
async function stampOf(path: string): Promise<string> {
  const { ino, dev, size, mtimeMs, ctimeMs } = await stat(path);
  if (size > bytesMax) throw new PodwrightError('E_LIMIT', `it has ${size} bytes, more than ${bytesMax}`);
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}
