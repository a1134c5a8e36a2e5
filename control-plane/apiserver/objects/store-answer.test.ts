import { expect, it } from 'vitest';
import { PodwrightError, type ErrorCode } from '#base/errors.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { errorResponse } from '#control-plane/apiserver/serve/respond.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import { Registry } from './registry.ts';

const configMaps = builtIn('', 'v1', 'configmaps');
const named = (name: string, uid: string) => ({ metadata: { namespace: 'n', name, uid } });

const silent: readonly ErrorCode[] = ['E_TIMEOUT', 'E_CONNECTION'];
it.each(silent)(
  'no answer of the store (%s) to a read may be asked again, to a write has to be looked into',
  async (code) => {
    const fails = (): Promise<never> => Promise.reject(new PodwrightError(code, 'read etcd: deadline'));
    const store = Object.assign(createFakeStore(), { get: fails, range: fails, update: fails });
    const registry = new Registry(store, () => 0);
    const answerTo = async (asked: Promise<unknown>): Promise<unknown> => {
      const { status, headers, body } = errorResponse(await asked.catch((error: unknown) => error));
      const { message, details } = JSON.parse(String(body));
      return [status, headers['retry-after'], message, details];
    };
    expect(await answerTo(registry.readAll(configMaps, 'n'))).toEqual([
      500,
      '2',
      'The list operation against configmaps could not be completed at this time, please try again.',
      { kind: 'configmaps', name: 'list', retryAfterSeconds: 2 },
    ]);
    expect(await answerTo(registry.read(configMaps, 'n', 'a'))).toMatchObject([
      500,
      '2',
      expect.stringContaining('The get operation'),
      {},
    ]);
    expect(await answerTo(registry.create(configMaps, named('a', 'a')))).toMatchObject([
      504,
      undefined,
      'Timeout: the store gave no answer, and may have written all the same: read etcd: deadline',
      {},
    ]);
  },
);
