import { describe, expect, it } from 'vitest';
import { parseResult } from '#api/cni/result.ts';
import { parsePortMappings } from './plan.ts';
import { planFlowsAtAdd, planFlowsAtDel } from './stale-flows.ts';

const result = parseResult({
  cniVersion: '1.1.0',
  ips: [{ address: '10.1.0.2/24' }, { address: 'fd00::2/64' }],
});
const host = ['127.0.0.1/8', '192.0.2.1/24', '2001:db8::1/64'];
const mappingsOf = (...portMappings: readonly object[]) =>
  parsePortMappings({ type: 'portmap', runtimeConfig: { portMappings } });
const udp = { hostPort: 8125, containerPort: 9125, protocol: 'udp' };
const to4 = { ip: '10.1.0.2', port: 9125 };
const to6 = { ip: 'fd00::2', port: 9125 };
const at = (originalDestination: string, target: object) => ({
  ...{ protocol: 17, originalDestination, port: 8125 },
  replies: { except: [target] },
});

describe('flows of UDP that a host port has to forget', () => {
  it.each([
    ['none of TCP', { ...udp, protocol: 'tcp' }, []],
    ['any address', udp, [at('127.0.0.1', to4), at('192.0.2.1', to4), at('2001:db8::1', to6)]],
    ['one address', { ...udp, hostIP: '192.0.2.7' }, [at('192.0.2.7', to4)]],
    ['all of IPv4', { ...udp, hostIP: '0.0.0.0' }, [at('127.0.0.1', to4), at('192.0.2.1', to4)]],
  ])('at ADD: %s', (_name, mapping, want) => {
    expect(planFlowsAtAdd(mappingsOf(mapping), result, host)).toEqual(want);
  });

  it('at DEL: what leads to the container, and nothing else', () => {
    expect(planFlowsAtDel(mappingsOf(udp, { ...udp, protocol: 'sctp' }), result)).toEqual([
      { protocol: 17, port: 8125, replies: { only: [to4] } },
      { protocol: 17, port: 8125, replies: { only: [to6] } },
    ]);
  });
});
