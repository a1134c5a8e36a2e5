import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import type { AuditOptions, Delivery } from './audit.ts';
import type { LogFileOptions } from './log-file.ts';
import { parsePolicy } from './policy.ts';

export const blocking: Delivery = {
  mode: 'blocking',
  batch: { bufferSize: 1, batchSizeMax: 1, waitMsMax: 0, throttle: undefined },
  truncate: undefined,
};

/** Everything that is written of `path`, and nothing else. */
export function logTo(
  path: string,
  more: Partial<LogFileOptions & Delivery> = {},
): LogFileOptions & Delivery {
  const file = { path, format: 'json', bytesMax: 1e9, backupsMax: 0, ageMsMax: 0, compress: false } as const;
  return { ...blocking, ...file, ...more };
}

export interface AuditedServer extends AsyncDisposable {
  readonly test: TestServer;
  /** Its directory, for others to write into. */
  readonly directory: string;
  /** What has been written so far, by line. */
  texts(): readonly string[];
  /** The same, read. */
  lines(): readonly Json[];
  /** The last line of those about this path. */
  last(path: string): Json;
}

/** A server that writes as a policy says: the rules, as YAML. */
export async function startAudited(
  rules: string,
  more: {
    readonly log?: Partial<LogFileOptions & Delivery>;
    readonly webhook?: AuditOptions['webhook'];
  } = {},
): Promise<AuditedServer> {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-audit-'));
  const path = join(directory, 'audit.log');
  const policy = parsePolicy(`apiVersion: audit.k8s.io/v1\nkind: Policy\n${rules}`);
  const test = await startTestServer({
    audit: { policy, log: logTo(path, more.log), webhook: more.webhook },
  });
  const texts = (): readonly string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const lines = (): readonly Json[] => texts().map((line): Json => JSON.parse(line));
  return {
    test,
    directory,
    texts,
    lines,
    last: (wanted) => {
      const found = lines().findLast((line) => String(line['requestURI']).startsWith(wanted));
      if (found === undefined) throw new Error(`no line of ${wanted}`);
      return found;
    },
    [Symbol.asyncDispose]: async () => {
      await test[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
