import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { dnsSubdomain, isPortNumber, portNumberText } from '#api/validation/format.ts';

const form = '; desired format: https://host[/path]';

/** How a webhook is reached: by a URL or a Service, one of the two (k8s.io/apiserver pkg/util/webhook, and who asks it). */
export function webhookClientErrors(client: JsonObject, path: string): readonly FieldError[] {
  const { url, service } = client;
  if ((url === undefined) === !isObject(service)) {
    return [requiredField(path, 'exactly one of url or service is required')];
  }
  return isObject(service)
    ? webhookServiceErrors(service, `${path}.service`)
    : webhookUrlErrors(stringOf(url), `${path}.url`);
}

/** The URL of a webhook: https, a host, a path, and nothing else. */
export function webhookUrlErrors(url: string, path: string): readonly FieldError[] {
  const parts = urlParts(url);
  if (typeof parts === 'string') {
    const detail = `url must be a valid URL: parse ${JSON.stringify(url)}: ${parts}${form}`;
    return [requiredField(path, detail)];
  }
  const { scheme, user, host, query, fragment } = parts;
  const unwanted = (value: string, what: string): readonly FieldError[] =>
    when(value !== '', () => invalidField(path, value, `${what} not permitted in the URL`));
  return [
    ...when(scheme !== 'https', () =>
      invalidField(path, scheme, `'https' is the only allowed URL scheme${form}`),
    ),
    ...when(host === '', () => invalidField(path, host, `host must be specified${form}`)),
    ...when(user !== undefined, () =>
      invalidField(path, user, 'user information is not permitted in the URL'),
    ),
    ...unwanted(fragment, 'fragments are'),
    ...unwanted(query, 'query parameters are'),
  ];
}

interface UrlParts {
  readonly scheme: string;
  readonly user: string | undefined;
  readonly host: string;
  readonly query: string;
  readonly fragment: string;
}

/** The parts of a URL as Go's url.Parse takes them, or what is wrong with it. */
function urlParts(url: string): UrlParts | string {
  if ([...url].some((char) => char < ' ' || char === '\u007f')) {
    return 'net/url: invalid control character in URL';
  }
  if (url.startsWith(':')) return 'missing protocol scheme';
  const [, scheme = '', rest = ''] = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(.*)$/.exec(url) ?? [];
  const [beforeFragment = '', ...fragments] = rest.split('#');
  const [beforeQuery = '', ...queries] = beforeFragment.split('?');
  const authority = /^\/\/([^/]*)/.exec(beforeQuery)?.[1] ?? '';
  const cut = authority.lastIndexOf('@');
  const host = authority.slice(cut + 1);
  const port = /:([^\]]*)$/.exec(host)?.[1] ?? '';
  if (!/^\d*$/.test(port)) return `invalid port ${JSON.stringify(`:${port}`)} after host`;
  const user = cut < 0 ? undefined : authority.slice(0, cut);
  return {
    scheme: scheme.toLowerCase(),
    user,
    host,
    query: queries.join('?'),
    fragment: fragments.join('#'),
  };
}

/** The Service of a webhook. Callers of kube-apiserver's check give it name and namespace in the wrong order, so that it names the other. */
function webhookServiceErrors(service: JsonObject, path: string): readonly FieldError[] {
  const { port } = service;
  return [
    ...when(stringOf(service['namespace']) === '', () => requiredField(`${path}.name`)),
    ...when(stringOf(service['name']) === '', () => requiredField(`${path}.namespace`)),
    ...when(!isPortNumber(port), () =>
      invalidField(`${path}.port`, port, `port is not valid: ${portNumberText}`),
    ),
    ...pathErrors(stringOf(service['path']), `${path}.path`),
  ];
}

function pathErrors(urlPath: string, field: string): readonly FieldError[] {
  if (urlPath === '' || urlPath === '/') return [];
  if (urlPath === '//') return [invalidField(field, urlPath, 'segment[0] may not be empty')];
  const steps = urlPath.slice(1).replace(/\/$/, '').split('/');
  return [
    ...when(!urlPath.startsWith('/'), () => invalidField(field, urlPath, "must start with a '/'")),
    ...steps.flatMap((step, index) =>
      step === ''
        ? [invalidField(field, urlPath, `segment[${index}] may not be empty`)]
        : dnsSubdomain(step).map((text) => invalidField(field, urlPath, `segment[${index}]: ${text}`)),
    ),
  ];
}
