import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Status } from '#api/generated/objects.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { ProcessStreams } from '#native/launch/launch.ts';
import { success, type CommandChannels } from './channels.ts';
import { serveAttach, serveExec } from './remote-command.ts';

/** A client with its streams, and how the server ended it. */
function connectClient() {
  const finished: Status[] = [];
  const gone = Promise.withResolvers<void>();
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const channels: CommandChannels = {
    ...{ stdin, stdout, stderr: undefined, closed: gone.promise },
    onResize: () => undefined,
    finish: async (status) => void finished.push(status),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { channels, finished, stdin, stdout, leave: gone.resolve };
}

function startProcess() {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const streams: ProcessStreams = {
    ...{ stdin, stdout, stderr: undefined },
    resize: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { runtime: { attach: async () => streams }, stdin, stdout };
}

it('serveExec() of a command that has written both already hands on its errors first', async () => {
  const client = connectClient();
  const process = startProcess();
  const [stderr, told] = [new PassThrough(), new PassThrough()];
  const order: string[] = [];
  for (const stream of [client.stdout, told]) stream.on('data', (chunk) => order.push(String(chunk)));
  process.stdout.end('archive');
  stderr.end('no such file');
  const streams: ProcessStreams = { ...(await process.runtime.attach()), stderr };
  const runtime = { exec: async () => ({ streams, exitCode: Promise.resolve(1) }) };
  const request = { stdin: false, stdout: true, stderr: true, tty: false };
  await serveExec(
    runtime as unknown as Runtime,
    { podUid: 'u', containerId: 'c', args: ['tar'], request },
    { ...client.channels, stderr: told },
  );
  expect(order).toEqual(['no such file', 'archive']);
});

describe('serveAttach()', () => {
  const target = { podUid: 'u', containerId: 'c' };

  it.each([
    { name: 'the client has sent all, of a container that keeps its stdin', keepsStdin: true, by: 'input' },
    { name: 'the container ends', keepsStdin: true, by: 'output' },
    { name: 'the container ends, which reads to the end', keepsStdin: false, by: 'output' },
    { name: 'the client goes', keepsStdin: false, by: 'leave' },
  ])('ends when $name', async ({ keepsStdin, by }) => {
    const client = connectClient();
    const process = startProcess();
    const served = serveAttach(process.runtime, { ...target, keepsStdin }, client.channels);
    client.stdin.write('abc');
    expect(String((await process.stdin.iterator({ destroyOnReturn: false }).next()).value)).toBe('abc');
    if (by === 'input') client.stdin.end();
    else if (by === 'output') process.stdout.end('end');
    else client.leave();
    await served;
    expect(client.finished).toEqual(by === 'leave' ? [] : [success]);
    if (by === 'output') expect(String(client.stdout.read())).toBe('end');
  });

  it('goes on after the client has sent all, where that ends the stdin of the container', async () => {
    const client = connectClient();
    const process = startProcess();
    const served = serveAttach(process.runtime, { ...target, keepsStdin: false }, client.channels);
    client.stdin.end('abc');
    for await (const chunk of process.stdin) expect(String(chunk)).toBe('abc');
    expect(client.finished).toEqual([]);
    process.stdout.end('abc');
    await served;
    expect(client.finished).toEqual([success]);
  });
});
