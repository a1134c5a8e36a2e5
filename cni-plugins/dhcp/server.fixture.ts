/** A DHCP server of a test: answers what it is told to, over a link of the test. */
import { decodeFrame, encodeFrame, broadcastMac, clientPort, serverPort } from './frame.ts';
import {
  addressBytes,
  addressesOf,
  decodeDhcp,
  dhcpOption,
  encodeDhcp,
  uint32Bytes,
  type DhcpMessage,
  type DhcpType,
} from './message.ts';

export interface ServerRules {
  /** What the next one gets that has none. */
  address: string;
  leaseSeconds: number;
  /** Hears and says nothing. */
  isSilent: boolean;
  /** Refuses each request. */
  refuses: boolean;
  options: readonly (readonly [number, Uint8Array])[];
}

export interface TestServer {
  readonly rules: ServerRules;
  /** `DISCOVER`, `REQUEST 10.9.0.5`, …, in their order. */
  readonly heard: string[];
  /** Who was given an address and has not given it back, by their client identifiers. */
  holders(): readonly string[];
  /** What is to be sent for a frame that came. */
  answer(frame: Uint8Array): Uint8Array | undefined;
}

const own = { ip: '10.9.0.1', mac: '02:00:00:00:09:01' };

export function createTestServer(): TestServer {
  const rules: ServerRules = {
    address: '10.9.0.5',
    leaseSeconds: 3600,
    isSilent: false,
    refuses: false,
    options: [],
  };
  const heard: string[] = [];
  const given = new Map<string, string>();
  const holders = new Set<string>();
  const answer: TestServer['answer'] = (frame) => {
    const datagram = decodeFrame(frame);
    const message = datagram?.targetPort === serverPort ? decodeDhcp(datagram.payload) : undefined;
    if (datagram === undefined || message?.from !== 'client') return undefined;
    const client = Buffer.from(message.options.get(dhcpOption.clientIdentifier) ?? []).toString('latin1');
    const asked = addressesOf(message.options.get(dhcpOption.requestedAddress) ?? Buffer.alloc(0))[0];
    const wanted = asked ?? (message.clientAddress === '0.0.0.0' ? undefined : message.clientAddress);
    heard.push(
      [
        message.type,
        ...(wanted === undefined ? [] : [wanted]),
        ...(datagram.targetMac === broadcastMac ? [] : ['to me']),
      ].join(' '),
    );
    if (message.type === 'RELEASE') {
      given.delete(client);
      holders.delete(client);
    }
    if (rules.isSilent) return undefined;
    if (message.type === 'DISCOVER') {
      given.set(client, given.get(client) ?? rules.address);
      return reply(message, 'OFFER', given.get(client) ?? '', rules);
    }
    if (message.type !== 'REQUEST') return undefined;
    const isHis = !rules.refuses && wanted === given.get(client);
    if (isHis) holders.add(client);
    return reply(message, isHis ? 'ACK' : 'NAK', isHis ? (wanted ?? '') : '0.0.0.0', rules);
  };
  return { rules, heard, holders: () => [...holders], answer };
}

function reply(to: DhcpMessage, type: DhcpType, yourAddress: string, rules: ServerRules): Uint8Array {
  const message: DhcpMessage = {
    ...to,
    from: 'server',
    type,
    yourAddress,
    options: new Map([
      [dhcpOption.serverIdentifier, addressBytes(own.ip)],
      [dhcpOption.leaseSeconds, uint32Bytes(rules.leaseSeconds)],
      [dhcpOption.subnetMask, addressBytes('255.255.255.0')],
      [dhcpOption.routers, addressBytes(own.ip)],
      ...rules.options,
    ]),
  };
  return encodeFrame({
    sourceMac: own.mac,
    targetMac: to.isBroadcast ? broadcastMac : to.mac,
    source: own.ip,
    target: to.isBroadcast ? '255.255.255.255' : to.clientAddress,
    sourcePort: serverPort,
    targetPort: clientPort,
    payload: encodeDhcp(message),
  });
}
