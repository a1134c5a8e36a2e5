import type { Readable, Writable } from 'node:stream';
import type { Status } from '#api/generated/objects.ts';

/** What a client asks of exec or attach. */
export interface StreamRequest {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** A remote command's streams, whichever protocol carries them. */
export interface CommandChannels extends AsyncDisposable {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  onResize(listener: (columns: number, rows: number) => void): void;
  /** The last word: how the command ended. Then the connection is closed. */
  finish(status: Status): Promise<void>;
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;
}

/** The Status of exit code 0. */
export const success: Status = { metadata: {}, status: 'Success' };

/** The Status that kubectl takes the exit code from. */
export function exitStatus(exitCode: number): Status {
  if (exitCode === 0) return success;
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

export function internalError(message: string): Status {
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  };
}

/** Terminal sizes: JSON objects one after another, cut anywhere. */
export function parseResizes(onResize: (columns: number, rows: number) => void): (chunk: Buffer) => void {
  let pending = '';
  const pendingMax = 4096;
  return (chunk) => {
    pending += chunk.toString('utf8');
    for (let end = pending.indexOf('}'); end >= 0; end = pending.indexOf('}')) {
      const size = /"Width":\s*(\d+)[^}]*"Height":\s*(\d+)/.exec(pending.slice(0, end));
      if (size !== null) onResize(Number(size[1]), Number(size[2]));
      pending = pending.slice(end + 1);
    }
    if (pending.length > pendingMax) pending = '';
  };
}
