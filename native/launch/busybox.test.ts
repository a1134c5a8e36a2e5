import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findBusybox, isStaticElf } from './busybox.ts';

/** An ELF header and program headers of the types given (1 PT_LOAD, 3 PT_INTERP). */
function elf(types: readonly number[]): Buffer {
  const head = Buffer.alloc(64 + 56 * types.length);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(types.length, 56);
  types.forEach((type, index) => head.writeUInt32LE(type, 64 + 56 * index));
  return head;
}

describe('isStaticElf()', () => {
  it.each([
    ['a program without interpreter', elf([1, 1]), true],
    ['one with', elf([6, 3, 1]), false],
    ['a script', Buffer.from(`#!/bin/sh\n${' '.repeat(100)}`), false],
    ['nothing', Buffer.alloc(0), false],
    ['headers past the end', elf([1, 1]).subarray(0, 100), false],
  ])('of %s', (_, head, want) => {
    expect(isStaticElf(head)).toBe(want);
  });
});

describe('findBusybox()', () => {
  it('passes over what is missing or dynamic', () => {
    const directory = mkdtempSync('/tmp/podwright-busybox-');
    using _ = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
    const [dynamic, own] = [join(directory, 'dynamic'), join(directory, 'own')];
    writeFileSync(dynamic, elf([3, 1]));
    expect(findBusybox([join(directory, 'none'), dynamic, own])).toBeUndefined();
    writeFileSync(own, elf([1]));
    expect(findBusybox([join(directory, 'none'), dynamic, own])).toBe(own);
  });
});
