import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { CGROUP2_SUPER_MAGIC, O_RDONLY, PROC_SUPER_MAGIC } from './constants.ts';
import { codeOfErrno, errnoName, fromNodeError, kernelError } from './errno.ts';
import { openFd, OwnedFd } from './fd.ts';
import {
  changeOwner,
  deviceNumber,
  fileSystemMagic,
  getXattr,
  lockFile,
  makeNode,
  setTimes,
  setXattr,
} from './file.ts';
import { threadNetnsPath, withFreshNetns, withNetns } from './namespace.ts';
import { openPidfd, reapPidfd, signalPidfd } from './process.ts';

async function openDirectory() {
  const directory = await mkdtemp(join(tmpdir(), 'podwright-sys-'));
  return {
    at: (name: string): string => join(directory, name),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

describe('errno', () => {
  it('errnoName() knows every errno of Node by its kernel name', () => {
    for (const [name, errno] of Object.entries(constants.errno)) {
      if (name !== 'ENOTSUP' && name !== 'EWOULDBLOCK') expect(errnoName(errno)).toBe(name);
    }
    expect(errnoName(133)).toBe('errno 133');
  });

  it('kernelError() says what was attempted, the errno and why', () => {
    const error = kernelError('write 1 to /x', 'ENOENT', { why: 'no such controller', detail: { index: 2 } });
    expect(error.message).toBe('write 1 to /x: ENOENT (no such controller)');
    expect(error).toMatchObject({ code: 'E_NOT_FOUND', detail: { errno: 'ENOENT', index: 2 } });
    expect(codeOfErrno('EXDEV')).toBe('E_KERNEL');
  });

  it('fromNodeError() takes errors of the kernel only', () => {
    const ours = new PodwrightError('E_INVALID', 'no');
    expect(fromNodeError(ours, 'read')).toBe(ours);
    const bug = Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' });
    expect(fromNodeError(bug, 'read')).toBe(bug);
    const missing = Object.assign(new Error('x'), { code: 'ENOENT' });
    expect(fromNodeError(missing, 'read /x')).toMatchObject({ message: 'read /x: ENOENT', cause: missing });
  });
});

describe('openFd()', () => {
  it('gives an fd that is closed once, and refuses use after close', () => {
    const file = openFd('/dev/null', O_RDONLY);
    expect(readlinkSync(`/proc/self/fd/${file.fd}`)).toBe('/dev/null');
    expect(readFileSync(`/proc/self/fdinfo/${file.fd}`, 'utf8')).toMatch(/flags:\s+02\d+/); // O_CLOEXEC
    file[Symbol.dispose]();
    file[Symbol.dispose]();
    expect(() => file.fd).toThrow(RangeError);
  });

  it('takeFd() hands the number over', () => {
    const owned = new OwnedFd(openSync('/dev/null', 'r'));
    const fd = owned.takeFd();
    owned[Symbol.dispose]();
    closeSync(fd);
  });

  it('keeps errno', () => {
    expect(() => openFd('/nonexistent', O_RDONLY)).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', message: 'open /nonexistent: ENOENT' }),
    );
  });
});

describe('files', () => {
  it('setTimes() sets a link itself, to the nanosecond', async () => {
    await using directory = await openDirectory();

    symlinkSync('nowhere', directory.at('link'));
    setTimes(directory.at('link'), 1_500_000_000_123_456_789n, -1n);
    const stat = lstatSync(directory.at('link'), { bigint: true });
    expect(stat.atimeNs).toBe(1_500_000_000_123_456_789n);
    expect(stat.mtimeNs).toBe(-1n);
  });

  it('lockFile() is held once at a time', async () => {
    await using directory = await openDirectory();

    const lock = lockFile(directory.at('lock'));
    expect(() => lockFile(directory.at('lock'))).toThrow(expect.objectContaining({ code: 'E_BUSY' }));
    lock[Symbol.dispose]();
    lockFile(directory.at('lock'))[Symbol.dispose]();
  });

  it('fileSystemMagic() tells file systems apart', () => {
    expect(fileSystemMagic('/proc')).toBe(PROC_SUPER_MAGIC);
    expect(fileSystemMagic('/proc')).not.toBe(CGROUP2_SUPER_MAGIC);
  });

  it('deviceNumber() is makedev(3)', () => {
    expect(deviceNumber(1, 3)).toBe(0x103n);
    expect(deviceNumber(0xfff_ff, 0xfff_ff)).toBe((0xff_000n << 32n) | 0xff_fff_ffn | 0xfff_00_000n);
  });
});

describe.skipIf(process.getuid?.() !== 0)('as root', () => {
  it('makeNode() makes devices and FIFOs', async () => {
    await using directory = await openDirectory();

    makeNode(directory.at('null'), { type: 'c', major: 1, minor: 3, mode: 0o600 });
    makeNode(directory.at('pipe'), { type: 'p', major: 0, minor: 0, mode: 0o600 });
    expect(lstatSync(directory.at('null')).isCharacterDevice()).toBe(true);
    expect(lstatSync(directory.at('null')).rdev).toBe(lstatSync('/dev/null').rdev);
    expect(lstatSync(directory.at('pipe')).isFIFO()).toBe(true);
    const again = () => makeNode(directory.at('pipe'), { type: 'p', major: 0, minor: 0, mode: 0o600 });
    expect(again).toThrow(expect.objectContaining({ code: 'E_EXISTS' }));
  });

  it('setXattr(), getXattr(), changeOwner()', async () => {
    await using directory = await openDirectory();

    writeFileSync(directory.at('file'), '');
    expect(getXattr(directory.at('file'), 'trusted.test')).toBeUndefined();
    setXattr(directory.at('file'), 'trusted.test', Buffer.from([1, 0, 2]));
    expect(getXattr(directory.at('file'), 'trusted.test')).toEqual(Buffer.from([1, 0, 2]));
    changeOwner(directory.at('file'), 1000, 1001);
    expect(lstatSync(directory.at('file'))).toMatchObject({ uid: 1000, gid: 1001 });
  });

  it('network namespaces: inside and back, also when inside throws', () => {
    const home = readlinkSync(threadNetnsPath);
    const fresh = withFreshNetns(() => readlinkSync(threadNetnsPath));
    expect(fresh).not.toBe(home);
    expect(() => withFreshNetns(() => JSON.parse('{'))).toThrow(SyntaxError);
    expect(withNetns(threadNetnsPath, () => readlinkSync(threadNetnsPath))).toBe(home);
    expect(readlinkSync(threadNetnsPath)).toBe(home);
  });

  it('withNetns() of what is no namespace', () => {
    const notFound = expect.objectContaining({ code: 'E_NOT_FOUND' });
    expect(() => withNetns('/dev/null', () => 1)).toThrow(notFound);
    expect(() => withNetns('/nonexistent', () => 1)).toThrow(notFound);
  });
});

describe('pidfds', () => {
  it('signal a process for as long as it is there', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    using pidfd = openPidfd(child.pid ?? 0);

    expect(pidfd).toBeDefined();
    if (pidfd === undefined) return;
    expect(signalPidfd(pidfd, 0)).toBe(true);
    expect(reapPidfd(pidfd)).toBeUndefined();
    const exit = once(child, 'exit');
    expect(signalPidfd(pidfd, 15)).toBe(true);
    expect(await exit).toEqual([null, 'SIGTERM']);
    expect(signalPidfd(pidfd, 0)).toBe(false);
    expect(() => reapPidfd(pidfd)).toThrow('not a child');
  });

  it('openPidfd() of nobody is undefined', () => expect(openPidfd(4_194_303)).toBeUndefined());
});
