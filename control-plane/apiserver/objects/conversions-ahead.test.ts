import { describe, expect, it } from 'vitest';
import { bareError } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { widgets } from '#api/schema/widget.fixture.ts';
import { ConversionsAhead, type ConvertOne } from './conversions-ahead.ts';

const [v1, v2] = [widgets, { ...widgets, version: 'v2' }];
const counted = (asked: JsonObject[]): ConvertOne => {
  return async (_from, object, to) => {
    asked.push(object);
    return { ...object, in: to.version };
  };
};

describe('ConversionsAhead', () => {
  it('does work again with what it lacked, and asks for nothing twice', async () => {
    const [ahead, asked]: [ConversionsAhead, JsonObject[]] = [new ConversionsAhead(), []];
    const work = (): unknown => [1, 2, 1].map((n) => ahead.of(v1, { n }, v2)?.['in']);
    expect(await ahead.settle(counted(asked), work)).toEqual(['v2', 'v2', 'v2']);
    expect(await ahead.settle(counted(asked), work)).toEqual(['v2', 'v2', 'v2']);
    expect(asked.map(({ n }) => n)).toEqual([1, 2]);
  });

  it('finds nothing where nobody converts, and lets what the work throws through', async () => {
    const ahead = new ConversionsAhead();
    const failing: ConvertOne = async () => {
      throw bareError('no answer');
    };
    expect(await ahead.settle(failing, () => ahead.of(v1, {}, v2) ?? 'nothing')).toBe('nothing');
    const work = (): never => {
      throw new Error('its own');
    };
    await expect(ahead.settle(failing, work)).rejects.toThrow('its own');
  });

  it('keeps and asks within bounds', async () => {
    const [ahead, asked]: [ConversionsAhead, JsonObject[]] = [new ConversionsAhead(), []];
    for (let n = 0; n < 300; n++) await ahead.settle(counted(asked), () => ahead.of(v1, { n }, v2));
    await ahead.settle(counted(asked), () => ahead.of(v1, { n: 299 }, v2));
    await ahead.settle(counted(asked), () => ahead.of(v1, { n: 0 }, v2));
    expect(asked.length).toBe(301);
    let n = 1000;
    const endless = (): unknown => ahead.of(v1, { n: n++ }, v2);
    await expect(ahead.settle(counted(asked), endless)).rejects.toThrow('not converted yet');
    expect(asked.length).toBe(365);
  });
});
