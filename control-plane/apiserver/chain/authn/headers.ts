import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';

/** The headers of a request, by name in small letters, each with its values in the order in which they came. */
export function readHeaders({
  headers,
  rawHeaders,
}: Pick<ApiRequest, 'headers' | 'rawHeaders'>): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  const take = (name: string, value: string): void => {
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  };
  if (rawHeaders === undefined) {
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) take(name, value);
    return values;
  }
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    // Bytes on the wire, of which Node makes characters one by one.
    take(name, Buffer.from(rawHeaders[index + 1] ?? '', 'latin1').toString());
  }
  return values;
}

/** A key that stands in the name of a header, percent-encoded where no name may have it so. */
export function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key; // Taken as it is, as the real server does.
  }
}
