import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '#bin/paths.ts';
import { programCommand, programEnvironment } from './program.ts';

describe('programCommand()', () => {
  it('puts the options of whoever starts it first, the role last', () => {
    expect(programCommand('agent', ['--disable-warning=ExperimentalWarning'])).toEqual([
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      '--max-semi-space-size=8',
      join(repositoryRoot, 'bin', 'podwright.ts'),
      'agent',
    ]);
    expect(programCommand('server', [])).not.toContain('--max-semi-space-size=8');
  });

  it('is what the entry script says for an agent started by hand', () => {
    const script = readFileSync(join(repositoryRoot, 'podwright'), 'utf8');
    const options = /^agent_options='(.*)'$/m.exec(script)?.[1];
    expect(programCommand('agent', []).slice(1, -2)).toEqual(options?.split(' '));
    const settings = Object.entries(programEnvironment('agent')).map(([name, value]) => `${name}=${value}`);
    expect(/^agent_environment='(.*)'$/m.exec(script)?.[1]).toBe(settings.join(' '));
  });
});
