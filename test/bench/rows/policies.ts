import { createPolicyState, type PolicyState } from '#agent/network/policy/policy-state.ts';
import type { NetworkPolicy, Pod } from '#api/generated/objects.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import type { Nft, NftOp } from '#native/nft/nft.ts';
import { alternate, timed } from '#test/bench/measure.ts';
import { atMost, type Measurement, type Row, type Scale } from '#test/bench/row.ts';

const [podsMax, ownMax, namespacesMax, policiesEach] = [1_000, 100, 10, 4];

/** Policies on 1,000 pods, of which a tenth is this node's: the table, a policy that changes, and a pod of another node. */
export const policies: Row = {
  name: 'policies',
  inNamespaces: true,
  run: async (scale) => {
    const [state, nft] = [load(), createSyncNft()];
    const whole = await alternate({
      what: `load policies on ${podsMax} pods, ${ownMax} of them this node's`,
      unit: 'ms',
      contenders: [
        {
          name: 'podwright',
          round: () =>
            timed(() =>
              nft.commit(
                ownNetns,
                state.takeAll(() => []),
              ),
            ),
        },
      ],
      rounds: scale.rounds(6),
      warmUp: 1,
    });
    let turn = 0;
    return [
      whole,
      // Another port, and pods of another label in all namespaces: a twentieth of them.
      await change(`change a policy on ${podsMax} pods, in the kernel`, { nft, state, scale }, () => {
        turn += 1;
        const peer = { namespaceSelector: {}, podSelector: { matchLabels: { app: `app-${turn % 2}` } } };
        state.setPolicy(
          'ns-0/changed',
          policyOf(0, 'changed', { ingress: [{ from: [peer], ports: [{ port: 8_000 + (turn % 2) }] }] }),
        );
      }),
      await change(
        `pod of another node comes or goes, ${podsMax} pods, in the kernel`,
        { nft, state, scale },
        () => {
          turn += 1;
          state.setPod('ns-1/other', turn % 2 === 0 ? undefined : podOf(podsMax + 1));
        },
      ),
    ];
  },
};

function change(
  what: string,
  { nft, state, scale }: { readonly nft: Nft; readonly state: PolicyState; readonly scale: Scale },
  next: () => void,
): Promise<Measurement> {
  const ops = (): readonly NftOp[] => {
    next();
    return state.takeChanges().ops;
  };
  return alternate({
    what,
    unit: 'ms',
    contenders: [
      {
        name: 'podwright',
        round: () => {
          const list = ops();
          return timed(() => nft.commit(ownNetns, list));
        },
      },
    ],
    rounds: scale.rounds(50),
    warmUp: 2,
    budgets: [atMost(1)],
  });
}

function load(): PolicyState {
  const state = createPolicyState(['ip']);
  for (let n = 0; n < namespacesMax; n++) state.setNamespace(`ns-${n}`, { team: `team-${n % 3}` });
  for (let n = 0; n < podsMax; n++) {
    const pod = podOf(n);
    const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
    const ips = [addressOf(n)];
    if (n < ownMax) state.attach({ sandboxId: uid, uid, namespace, name, ips }, pod);
    else state.setPod(`${namespace}/${name}`, pod);
  }
  for (let n = 0; n < namespacesMax; n++) {
    const rules = [
      { ingress: [] },
      { ingress: [{ from: [{ podSelector: {} }] }] },
      {
        ingress: [
          { from: [{ namespaceSelector: { matchLabels: { team: 'team-1' } } }], ports: [{ port: 80 }] },
        ],
      },
      {
        policyTypes: ['Egress'],
        egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.9.0.0/16'] } }] }],
      },
    ];
    for (let i = 0; i < policiesEach; i++)
      state.setPolicy(`ns-${n}/p${i}`, policyOf(n, `p${i}`, rules[i] ?? {}));
  }
  return state;
}

const addressOf = (n: number): string => `10.244.${n >> 8}.${n & 255}`;

function podOf(n: number): Pod {
  const namespace = `ns-${n % namespacesMax}`;
  return {
    metadata: { namespace, name: `pod-${n}`, uid: `uid-${n}`, labels: { app: `app-${n % 20}` } },
    spec: { nodeName: n < ownMax ? 'here' : 'there', containers: [] },
    status: { phase: 'Running', podIPs: [{ ip: addressOf(n) }] },
  };
}

function policyOf(n: number, name: string, spec: Partial<NonNullable<NetworkPolicy['spec']>>): NetworkPolicy {
  return { metadata: { namespace: `ns-${n}`, name }, spec: { podSelector: {}, ...spec } };
}
