import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ensureForwarder } from './build.ts';
import { configureForwarder, decodeForwardedCall, encodeAnswer, isForwarder } from './forwarder.ts';

const binary = readFileSync(await ensureForwarder());

function request(texts: readonly string[], input: string): Buffer {
  const head = Buffer.from(texts.map((text) => `${text}\0`).join(''));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(head.length, 0);
  lengths.writeUInt32LE(Buffer.byteLength(input), 4);
  return Buffer.concat([lengths, head, Buffer.from(input)]);
}

const head = ['/bin/bridge', 'net:[1]', 'mnt:[2]', 'CNI_COMMAND=ADD', 'CNI_ARGS=A=b', ''];

describe('configureForwarder()', () => {
  const config = { sockets: ['/a', ''], program: ['/node', '/load.cjs'] } as const;

  test('writes paths in place of others, and keeps the rest of the file', () => {
    const once = configureForwarder(binary, { sockets: ['/long/path', '/b'], program: ['/x', 'y', 'z'] });
    const twice = configureForwarder(once, config);
    expect(twice.equals(configureForwarder(binary, config))).toBe(true);
    expect(twice.length).toBe(binary.length);
    expect(twice.includes('config:/a\0\0/node\0/load.cjs\0\0')).toBe(true);
  });

  test.each([
    [
      'a path that is too long',
      binary,
      { ...config, program: ['/'.repeat(2048)] },
      'install at shorter paths',
    ],
    ['too many arguments', binary, { ...config, program: Array(17).fill('x') as string[] }, 'shorter'],
    ['an argument that would end the list', binary, { ...config, program: ['/node', ''] }, 'without a byte'],
    ['a zero in a path', binary, { ...config, program: ['/no\0de'] }, 'with a zero'],
    ['another file', Buffer.from('#!/bin/sh'), config, 'the binary is none'],
  ])('refuses %s', (_name, file, options, message) => {
    expect(() => configureForwarder(file, options)).toThrow(message);
  });

  test('its files are told from those of others', () => {
    expect(isForwarder(configureForwarder(binary, config))).toBe(true);
    expect(isForwarder(readFileSync(process.execPath).subarray(0, 100_000))).toBe(false);
  });
});

describe('decodeForwardedCall()', () => {
  const whole = request(head, '{"name":"ü"}');

  test('wants all of it, wherever it was cut', () => {
    for (let bytes = 0; bytes < whole.length; bytes++)
      expect(decodeForwardedCall(whole.subarray(0, bytes))).toBeUndefined();
    expect(decodeForwardedCall(whole)).toEqual({
      program: '/bin/bridge',
      netns: 'net:[1]',
      mountns: 'mnt:[2]',
      env: { CNI_COMMAND: 'ADD', CNI_ARGS: 'A=b' },
      input: '{"name":"ü"}',
    });
  });

  test.each([
    [
      'a head that is not whole',
      request(['/bin/bridge', 'net:[1]', 'mnt:[2]', 'CNI_COMMAND=ADD'], ''),
      'not whole',
    ],
    ['no program', request(['', 'net:[1]', 'mnt:[2]', ''], ''), 'not whole'],
    ['a length of gigabytes', Buffer.alloc(8, 0xff), '4294967295'],
  ])('refuses %s', (_name, data, message) => {
    expect(() => decodeForwardedCall(data)).toThrow(message);
  });
});

test('encodeAnswer() is the exit code and the output, counted in bytes', () => {
  const answer = encodeAnswer(1, 'ü');
  expect([...answer]).toEqual([3, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0xc3, 0xbc]);
});
