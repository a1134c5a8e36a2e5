import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nextTurn } from './time-slice.ts';
import { untilQuiet, untilTurnsEnd } from './quiet.fixture.ts';

it('untilQuiet() waits for whatever chain of files and turns goes on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'quiet-'));
  let isDone = false;
  void (async () => {
    for (let step = 0; step < 60; step++) {
      await writeFile(join(directory, `${step}`), 'text');
      await stat(join(directory, `${step}`));
      await readFile(join(directory, `${step}`));
      const file = await open(join(directory, `${step}`), 'a');
      await file.write('more');
      await file.close();
      await rm(join(directory, `${step}`));
      for (let turn = 0; turn < 3; turn++) await nextTurn();
    }
    isDone = true;
  })();
  await untilQuiet();
  expect(isDone).toBe(true);
  await rm(directory, { recursive: true });
});

it('untilQuiet() waits for what its caller calls busy, too', async () => {
  let left = 5;
  await untilQuiet(() => left-- > 0);
  expect(left).toBeLessThan(0);
});

it('untilTurnsEnd() waits for as many turns as are asked for', async () => {
  let turns = 0;
  void (async () => {
    for (; turns < 500; turns++) await nextTurn();
  })();
  await untilTurnsEnd();
  expect(turns).toBe(500);
});
