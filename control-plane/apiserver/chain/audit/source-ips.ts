import { parseIp } from '#base/ip.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';

/** Addresses of one request that are written; who lies about more than these says nothing new. */
const addressesMax = 32;
/** Of a client in this very process. */
const ownAddress = '127.0.0.1';

/** Where a request comes from: what proxies before it say, the farthest first, then who is connected (apimachinery, SourceIPs). Pure. */
export function sourceIpsOf({ headers, caller }: Pick<ApiRequest, 'headers' | 'caller'>): readonly string[] {
  const remote = caller.kind === 'network' ? withoutMapping(caller.address ?? '') : ownAddress;
  const forwarded = headers['x-forwarded-for'];
  const real = headers['x-real-ip'];
  if (forwarded === undefined && real === undefined) return remote === '' ? [] : [remote];
  const found = (forwarded ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => parseIp(text) !== undefined)
    .slice(0, addressesMax);
  for (const text of [real?.trim() ?? '', remote]) {
    const isNew =
      parseIp(text) !== undefined && (text === remote ? found.at(-1) !== text : !found.includes(text));
    if (isNew) found.push(text);
  }
  return found;
}

/** An IPv4 address that a socket of IPv6 shows. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}
