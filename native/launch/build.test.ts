import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureSupervisor } from './build.ts';

describe('ensureSupervisor()', () => {
  it('builds once and leaves nothing beside the binary', async () => {
    const buildDirectory = mkdtempSync('/tmp/podwright-build-');
    using _ = { [Symbol.dispose]: () => rmSync(buildDirectory, { recursive: true }) };
    const first = await ensureSupervisor({ buildDirectory });
    expect(await ensureSupervisor({ buildDirectory, compiler: 'must-not-run' })).toBe(first);
    expect(readdirSync(buildDirectory)).toHaveLength(1);
  });

  it('says what to install where there is no compiler', async () => {
    const buildDirectory = mkdtempSync('/tmp/podwright-build-');
    using _ = { [Symbol.dispose]: () => rmSync(buildDirectory, { recursive: true }) };
    const failure = ensureSupervisor({ buildDirectory, compiler: join(buildDirectory, 'gcc') });
    await expect(failure).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('apt-get install gcc'),
    });
  });
});
