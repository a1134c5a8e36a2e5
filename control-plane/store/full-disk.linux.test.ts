/** A disk that becomes full and has room again, in a mount namespace of the test's own. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

const program = `
  import { openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
  import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
  import { systemClock } from '#base/clock.ts';
  const at = process.argv[1];
  const open = () => openEmbeddedStore({ directory: at + '/store', markFile: at + '/store.mark', clock: systemClock });
  let store = await open();
  writeFileSync(at + '/ballast', Buffer.alloc(6_000_000));
  const acknowledged = [];
  let refusal;
  const put = async (id) => {
    await store.commit({ expect: [], ops: [{ op: 'put', key: '/k/' + id, value: Buffer.alloc(20_000, 'v') }] });
    acknowledged.push('/k/' + id);
  };
  let id = 0;
  while (refusal === undefined && id < 5000) await put(id++).catch((error) => (refusal = error));
  const said = { code: refusal?.code, failure: store.failure?.code, revision: store.revision };
  const isThere = async () => {
    const keys = new Set((await store.range('/k/')).values.map(({ key }) => key));
    return acknowledged.every((key) => keys.has(key)) && keys.size === acknowledged.length;
  };
  const whileFull = await isThere();
  rmSync(at + '/ballast');
  await put('later');
  const recovered = store.failure === undefined;
  await store[Symbol.asyncDispose]();
  store = await open();
  const fill = openSync(at + '/ballast', 'w');
  try { for (;;) writeSync(fill, Buffer.alloc(4096)); } catch {}
  const unopened = await openEmbeddedStore({ directory: at + '/b', markFile: at + '/b.mark', clock: systemClock })
    .catch((error) => error.message);
  console.log(JSON.stringify({ unopened, said, whileFull, recovered, reopened: await isThere(), count: acknowledged.length }));
  await store[Symbol.asyncDispose]();`;

it.skipIf(process.getuid?.() !== 0)(
  'a full disk loses no acknowledged write, is said, and is over when there is room (needs root)',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-full-'));
    try {
      const { stdout } = await promisify(execFile)(
        'unshare',
        [
          ...[
            '--mount',
            'sh',
            '-ec',
            'mount -t tmpfs -o size=32m full "$1"; exec "$2" --input-type=module -e "$3" "$1"',
          ],
          ...['sh', directory, process.execPath, program],
        ],
        { cwd: join(import.meta.dirname, '../..') },
      );
      const seen = JSON.parse(stdout) as {
        readonly said: { readonly revision: number };
        readonly count: number;
      };
      expect(seen).toMatchObject({
        said: { code: 'E_NO_SPACE', failure: 'E_NO_SPACE' },
        unopened: expect.stringMatching(/^open store \/.*; free some space on its disk$/),
        whileFull: true,
        recovered: true,
        reopened: true,
      });
      expect(seen.count).toBe(seen.said.revision + 1);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
