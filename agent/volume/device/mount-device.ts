/** File systems on block devices that somebody gave the node (the `local` plugin of the kubelet, FormatAndMount of k8s.io/mount-utils). */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { collectOutput } from '#base/collect-output.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { createKeyLock, type KeyLock } from '#base/key-lock.ts';
import { splitMountOptions } from '#native/mount/mount-options.ts';
import { mountOnThread } from '#native/mount/mount-thread.ts';
import { contentOf, headBytes, mkfsArguments, type DeviceContent } from './device-content.ts';

/** What is to be mounted. */
export interface DeviceWish {
  readonly device: string;
  /** Undefined: what is there, else ext4. */
  readonly fsType: string | undefined;
  /** As in mount(8). */
  readonly options: readonly string[];
  /** Nothing is written by who asks: an empty device is of no use to it. */
  readonly isReadOnly: boolean;
}

export type DeviceMount = (target: string, wish: DeviceWish, signal: AbortSignal) => Promise<void>;

const mountMs = 60_000;
/** Of a file system's making: lazily initialised ones take seconds. */
const mkfsMs = 600_000;
const outputBytesMax = 4_096;

/** Pods that come to one device at once come one after another: it is formatted once. */
export function createDeviceMount(lock: KeyLock = createKeyLock()): DeviceMount {
  return (target, wish, signal) =>
    lock(wish.device, async () => {
      const { device, options } = wish;
      const type = await ensureFileSystem(wish, signal);
      const { flags, data } = splitMountOptions(options);
      await mountOnThread(
        { target, spec: { kind: 'other', type, source: device, data: data.join(',') }, options: flags },
        { signal, timeoutMs: mountMs },
      );
    });
}

/** The type of what is there, made if there is nothing. @throws E_CONFLICT for what is somebody's, E_INVALID */
async function ensureFileSystem(wish: DeviceWish, signal: AbortSignal): Promise<string> {
  const { device, fsType, isReadOnly, options } = wish;
  const content = contentOf(await readHead(device));
  if (content.kind === 'fileSystem') return checkedType(content, wish);
  if (content.kind === 'other')
    throw new PodwrightError(
      'E_CONFLICT',
      `format ${device}: it has ${content.what}, which is left as it is`,
    );
  if (isReadOnly || options.includes('ro'))
    throw new PodwrightError(
      'E_INVALID',
      `cannot mount unformatted disk ${device} as it is in read-only mode`,
    );
  const type = fsType ?? 'ext4';
  if (!/^[a-z0-9]+$/.test(type))
    throw new PodwrightError('E_INVALID', `format ${device}: ${JSON.stringify(type)} is no file system`);
  await format(device, type, signal);
  return type;
}

function checkedType(
  { type }: Extract<DeviceContent, { kind: 'fileSystem' }>,
  { device, fsType = type }: DeviceWish,
): string {
  // One driver of the kernel mounts all three, which are told apart by features.
  const isSame = fsType === type || (type === 'ext4' && /^ext[23]$/.test(fsType));
  if (isSame) return fsType;
  throw new PodwrightError(
    'E_CONFLICT',
    `mount ${device} as ${fsType}: it has ${type}, which is left as it is`,
  );
}

async function readHead(device: string): Promise<Buffer> {
  await using file = await open(device, 'r');

  const head = Buffer.alloc(headBytes);
  const { bytesRead } = await file.read(head, 0, headBytes, 0);
  return head.subarray(0, bytesRead);
}

/** By the machine's own program. @throws E_UNSUPPORTED where there is none */
async function format(device: string, type: string, signal: AbortSignal): Promise<void> {
  const program = `mkfs.${type}`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(program, mkfsArguments(type, device), {
    ...{ stdio: ['ignore', 'ignore', 'pipe'], timeout: mkfsMs, signal },
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  });
  const said = collectOutput(child.stderr, outputBytesMax);
  const fail = (code: 'E_UNSUPPORTED' | 'E_KERNEL', why: string, cause?: unknown): void =>
    reject(new PodwrightError(code, `format ${device} by ${program}: ${why}`, { cause }));
  child.once('error', (error) => {
    if (signal.aborted) reject(signal.reason);
    else if (errnoOf(error) === 'ENOENT') fail('E_UNSUPPORTED', 'this machine does not have it', error);
    else fail('E_KERNEL', error.message, error);
  });
  child.once('close', (code, by) => {
    if (code === 0) resolve();
    else fail('E_KERNEL', `it ended with ${code ?? by}: ${said().trim()}`);
  });
  return promise;
}
