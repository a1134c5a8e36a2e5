import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';

import { rotateOwnLog } from './own-log.ts';

const scratch = scratchDirectory('podwright-own-log-');
let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(`${scratch}/`);
  path = `${directory}/agent.log`;
});
afterEach(() => rmSync(directory, { recursive: true }));

const content = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(directory)
      .toSorted()
      .map((name) => [name, readFileSync(`${directory}/${name}`, 'utf8')]),
  );
const write = (text: string) => (fd: number) => void writeSync(fd, text);

describe('rotateOwnLog()', () => {
  it('moves files on and keeps so many', () => {
    writeFileSync(path, '0');
    for (const text of ['1', '2', '3', '4', '5']) rotateOwnLog(path, 3, write(text));
    expect(content()).toEqual({
      'agent.log': '5',
      'agent.log.1': '4',
      'agent.log.2': '3',
      'agent.log.3': '2',
    });
  });

  it('goes on where one was cut off: no file at the path, a new one left over, a gap', () => {
    writeFileSync(`${path}.new`, '');
    writeFileSync(`${path}.2`, 'older');
    rotateOwnLog(path, 3, write('new'));
    expect(content()).toEqual({ 'agent.log': 'new', 'agent.log.3': 'older' });
  });

  it('changes nothing where no file can be made', () => {
    writeFileSync(path, '0');
    mkdirSync(`${path}.new`);
    expect(() => rotateOwnLog(path, 3, write('1'))).toThrow('EISDIR');
    expect(readFileSync(path, 'utf8')).toBe('0');
  });
});

describe('a program on a log file of its own', () => {
  it('keeps to its bound, loses no line, and says its last words in the newest', async () => {
    const log = openSync(path, 'a', 0o600);
    const script = `
      const { createLogger } = await import(${JSON.stringify(`${import.meta.dirname}/log.ts`)});
      const log = createLogger(process.env, {});
      const text = 'x'.repeat(1_000);
      for (let line = 0; line < 25_000; line++) {
        log.info({ line, text }, 'm');
        if (line % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      throw new Error('last words');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', log, log],
      env: { ...process.env, PODWRIGHT_LOG_FILE: path },
    });
    closeSync(log);
    await once(child, 'exit');
    const files = ['.2', '.1', ''].map((suffix) => readFileSync(`${path}${suffix}`, 'utf8'));
    for (const file of files) expect(file.length).toBeLessThan(12 * 1024 * 1024);
    const lines = files
      .join('')
      .split('\n')
      .filter((line) => line.startsWith('{'));
    expect(lines.map((line) => JSON.parse(line).line)).toEqual([...Array(25_000).keys()]);
    expect(files.at(-1)).toContain('last words');
  });

  it('leaves a pipe alone', () => {
    writeFileSync(path, '');
    const script = `
      const { createLogger } = await import(${JSON.stringify(`${import.meta.dirname}/log.ts`)});
      createLogger(process.env, {}).info({}, 'to the pipe');`;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, PODWRIGHT_LOG_FILE: path },
    });
    expect(said.toString()).toContain('to the pipe');
    expect(content()).toEqual({ 'agent.log': '' });
  });
});
