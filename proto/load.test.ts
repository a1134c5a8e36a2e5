import { expect, it } from 'vitest';
import { loadContract } from './load.ts';

it("loadContract() gives a contract's methods with their paths, and messages as their interfaces say", async () => {
  const { services } = await loadContract('etcd-v3');
  const { Txn } = services['etcdserverpb.KV'];
  expect(Txn.path).toBe('/etcdserverpb.KV/Txn');
  const key = Buffer.from('/a');
  const bytes = Txn.requestSerialize({
    compare: [{ target: 'MOD', key, mod_revision: 2 ** 53 - 1 }],
    success: [{ request_put: { key, value: Buffer.from('x') } }],
  });
  expect(Txn.requestDeserialize(bytes)).toEqual({
    compare: [
      {
        result: 'EQUAL',
        target: 'MOD',
        key,
        mod_revision: 2 ** 53 - 1,
        target_union: 'mod_revision',
        range_end: Buffer.of(),
      },
    ],
    success: [
      {
        request_put: {
          key,
          value: Buffer.from('x'),
          lease: 0,
          prev_kv: false,
          ignore_value: false,
          ignore_lease: false,
        },
        request: 'request_put',
      },
    ],
    failure: [],
  });
  expect(services['etcdserverpb.Watch'].Watch).toMatchObject({ requestStream: true, responseStream: true });
});
