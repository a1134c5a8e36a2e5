import { describe, expect, it } from 'vitest';
import { askHeaders, type HeaderQuestion, ourValues } from '#native/sys/header-check.ts';
import * as constants from './wireguard-constants.ts';

const question: HeaderQuestion = {
  headers: ['linux/netlink.h', 'linux/genetlink.h', 'linux/wireguard.h'],
  constants: Object.keys(constants),
  structs: {},
};
const answer = askHeaders(question);

describe.skipIf(answer === undefined)('constants of native/wireguard (needs gcc and kernel headers)', () => {
  it('are those of the headers', () => {
    if (answer === undefined) return;
    expect([...ourValues(question, constants, answer)]).toEqual([...answer.values]);
    expect(answer.unknown).toEqual([]);
  });
});
