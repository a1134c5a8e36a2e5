import { formatIp, ipOfBytes } from '#base/ip.ts';
import { derElements, firstDerElement, oidText, type DerElement } from './der.ts';
import { pemBlocks } from './pem.ts';

/** What a PKCS #10 request (RFC 2986) asks for. */
export interface RequestContents {
  /** '' without. The last, where there are several. */
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** Parts of the subject in the order of the request: an object identifier and its text. */
  readonly subject: readonly (readonly [oid: string, text: string])[];
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  /** In the words of base/ip.ts; what has neither 4 nor 16 bytes is hexadecimal. */
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
}

const oids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  extensionRequest: '1.2.840.113549.1.9.14',
  subjectAltName: '2.5.29.17',
} as const;
/** RFC 5280 4.2.1.6: GeneralName, tags of the context. */
const generalNames = { 0x81: 'emailAddresses', 0x82: 'dnsNames', 0x86: 'uris', 0x87: 'ipAddresses' } as const;
type NameList = (typeof generalNames)[keyof typeof generalNames];
type Names = Record<NameList, string[]>;

const utf8 = 0x0c;
const utf16 = 0x1e;

/** @param base64 of PEM, as `spec.request` has it. @returns undefined where it is none */
export function readSigningRequest(base64: string): RequestContents | undefined {
  const [block] = pemBlocks(Buffer.from(base64, 'base64').toString('latin1'));
  if (block?.type !== 'CERTIFICATE REQUEST') return undefined;
  const [info] = childrenOf(firstDerElement(block.bytes));
  const [, name, , attributes] = childrenOf(info);
  if (name === undefined) return undefined;
  const subject = subjectOf(name);
  const textsOf = (wanted: string): readonly string[] =>
    subject.flatMap(([oid, text]) => (oid === wanted ? [text] : []));
  return {
    commonName: textsOf(oids.commonName).at(-1) ?? '',
    organizations: textsOf(oids.organization),
    subject,
    ...alternativeNames(childrenOf(attributes)),
  };
}

function childrenOf(element: DerElement | undefined): readonly DerElement[] {
  return element === undefined ? [] : (derElements(element.content) ?? []);
}

/** RelativeDistinguishedNames, of which each may have several parts. */
function subjectOf(name: DerElement): readonly (readonly [string, string])[] {
  return childrenOf(name).flatMap((set) =>
    childrenOf(set).flatMap((part) => {
      const [oid, value] = childrenOf(part);
      return oid === undefined || value === undefined ? [] : [[oidText(oid.content), textOf(value)] as const];
    }),
  );
}

function textOf({ tag, content }: DerElement): string {
  const bytes = Buffer.from(content);
  if (tag === utf16) return bytes.length % 2 === 0 ? bytes.swap16().toString('utf16le') : '';
  return bytes.toString(tag === utf8 ? 'utf8' : 'latin1');
}

function alternativeNames(attributes: readonly DerElement[]): Readonly<Names> {
  const names: Names = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] };
  for (const attribute of attributes) {
    const [type, values] = childrenOf(attribute);
    if (type === undefined || oidText(type.content) !== oids.extensionRequest) continue;
    for (const extension of childrenOf(values).flatMap(childrenOf)) {
      const parts = childrenOf(extension);
      const [id] = parts;
      if (id === undefined || oidText(id.content) !== oids.subjectAltName) continue;
      // The value is the last: before it may be whether it is critical.
      for (const entry of childrenOf(firstDerElement(parts.at(-1)?.content ?? new Uint8Array())))
        addName(names, entry);
    }
  }
  return names;
}

function addName(names: Names, { tag, content }: DerElement): void {
  const list = generalNames[tag as keyof typeof generalNames] as NameList | undefined;
  if (list === undefined) return;
  const bytes = Buffer.from(content);
  names[list].push(list === 'ipAddresses' ? addressOf(bytes) : bytes.toString('latin1'));
}

function addressOf(bytes: Buffer): string {
  const ip = ipOfBytes(bytes);
  return ip === undefined ? bytes.toString('hex') : formatIp(ip);
}
