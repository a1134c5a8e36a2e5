import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalJson } from '#api/wire/json.ts';
import { applyPatch, parsePatchText } from './apply-patch.ts';
import { settle, type Outcome } from './ask-hook.ts';
import { identityNameOf } from './hook-identities.ts';
import { describeFailure, describeStatus } from './http-failure.ts';
import { readReview, renderReview, type Expected } from './review.ts';
import { rejected } from './verdict-status.ts';
import { statusOf } from '#api/errors/status.ts';

const v1: Expected = { version: 'v1', uid: 'u', isMutating: true };
const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' };

function read(value: unknown, expected: Expected = v1): unknown {
  const reading = readReview(Buffer.from(JSON.stringify(value)), 'application/json', expected);
  return reading.verdict ?? reading.reason;
}

describe('readReview()', () => {
  it.each<[string, object, string]>([
    [
      'allowed as a text',
      { allowed: 'yes' },
      'cannot unmarshal string into Go struct field AdmissionReview.response.allowed of type bool',
    ],
    [
      'warnings as a text',
      { allowed: true, warnings: 'w' },
      'field AdmissionReview.response.warnings of type []string',
    ],
    [
      'a patch that is no base64',
      { allowed: true, patch: '[]', patchType: 'JSONPatch' },
      'illegal base64 data at input byte 0',
    ],
    [
      'a type without a patch',
      { allowed: true, patchType: 'JSONPatch' },
      'webhook returned response.patchType but not response.patch',
    ],
    [
      'an empty type',
      { allowed: true, patch: 'W10=', patchType: '' },
      'webhook returned invalid response.patchType of ""',
    ],
  ])('%s', (_name, response, want) => {
    expect(read({ ...review, response: { uid: 'u', ...response } })).toContain(want);
  });

  it('no JSON', () => {
    const reading = readReview(Buffer.from('<html>'), 'text/html', v1);
    expect(reading).toEqual({
      verdict: undefined,
      reason:
        "failed to call webhook: couldn't get version/kind; json parse error: invalid character '<' looking for beginning of value",
    });
  });

  it('v1beta1 without uid, as it always was', () => {
    const value = {
      ...review,
      apiVersion: 'admission.k8s.io/v1beta1',
      response: { allowed: true, patch: 'W10=' },
    };
    expect(read(value, { ...v1, version: 'v1beta1' })).toMatchObject({
      isAllowed: true,
      patchType: 'JSONPatch',
    });
  });

  it('reads any answer, and allows only what says so', () => {
    const response = fc.record(
      {
        uid: fc.constantFrom('u', 'v', 1),
        allowed: fc.constantFrom(true, false, 'true', null),
        status: fc.oneof(fc.jsonValue(), fc.constant({ code: 403, message: 'm' })),
        patch: fc.oneof(fc.base64String(), fc.jsonValue()),
        patchType: fc.constantFrom('JSONPatch', '', 'x', null, 7),
        warnings: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
        auditAnnotations: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const answer = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          ...{
            apiVersion: fc.constantFrom(review.apiVersion, 'v1', 3),
            kind: fc.constantFrom(review.kind, 'Pod'),
          },
          response,
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(
        answer,
        fc.boolean(),
        fc.constantFrom('v1' as const, 'v1beta1' as const),
        (value, isMutating, version) => {
          const reading = readReview(Buffer.from(JSON.stringify(value)), '', {
            version,
            uid: 'u',
            isMutating,
          });
          if (reading.verdict === undefined) return reading.reason !== '';
          const said = (value as { response: { allowed?: unknown; uid?: unknown } }).response;
          const isSound = version === 'v1beta1' || said.uid === 'u';
          return isSound && reading.verdict.isAllowed === (said.allowed === true);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('reads any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const reading = readReview(Buffer.from(bytes), '', v1);
        return reading.verdict === undefined;
      }),
      { numRuns: 2000 },
    );
  });
});

describe('applyPatch()', () => {
  const base = { data: { a: '1' }, list: [1] };

  it.each([
    [
      [{ op: 'remove', path: '/data/z' }],
      "error in remove for path: '/data/z': Unable to remove nonexistent key: z: missing value",
    ],
    [
      [{ op: 'remove', path: '/y/z' }],
      'remove operation does not apply: doc is missing path: "/y/z": missing value',
    ],
    [
      [{ op: 'replace', path: '/data/z', value: 1 }],
      'replace operation does not apply: doc is missing key: /data/z: missing value',
    ],
    [
      [{ op: 'add', path: '/y/z', value: 1 }],
      'add operation does not apply: doc is missing path: "/y/z": missing value',
    ],
    [[{ op: 'test', path: '/data/a', value: '2' }], 'testing value /data/a failed: test failed'],
    [
      [
        { op: 'add', path: '/b', value: 1 },
        { op: 'copy', from: '/z', path: '/c' },
        { op: 'remove', path: '/b' },
      ],
      'copy operation does not apply: doc is missing from path: /z: missing value',
    ],
  ])('%j', (operations, reason) => {
    expect(applyPatch(base, operations)).toEqual({ reason });
  });

  it('parsePatchText() takes operations alone', () => {
    expect(parsePatchText(Buffer.from('{}'))).toMatchObject({
      reason: 'json: cannot unmarshal object into Go value of type jsonpatch.Patch',
    });
    expect(parsePatchText(Buffer.from('[1]'))).toMatchObject({
      reason: 'json: cannot unmarshal number into Go value of type jsonpatch.Operation',
    });
  });

  it('takes any operations, and tells why not', () => {
    const operation = fc.record(
      {
        op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
        path: fc.constantFrom('', '/data', '/data/a', '/list/0', '/list/-', '/list/x', '/z/z', 'x'),
        from: fc.constantFrom('', '/data', '/list/1', '/z'),
        value: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const before = structuredClone(base);
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (operations) => {
        const applied = applyPatch(base, operations);
        return ('value' in applied || applied.reason !== '') && equalJson(base, before);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('settle()', () => {
  const unreachable: Outcome = { kind: 'unreachable', reason: 'r', code: 503, isCanceled: false };
  const error = rejected('h', undefined);
  it.each<[Outcome, boolean, unknown]>([
    [{ kind: 'rejected', error }, true, error],
    [{ kind: 'rejected', error }, false, error],
    [{ kind: 'broken', error }, true, error],
    [unreachable, true, 'failsOpen'],
  ])('%j, open %s', (outcome, failsOpen, want) => {
    expect(settle({ name: 'h', failsOpen }, outcome)).toBe(want);
  });

  it('only what could not be asked obeys the policy', () => {
    expect(settle({ name: 'h', failsOpen: false }, unreachable)).toMatchObject({
      message: 'Internal error occurred: failed calling webhook "h": r',
    });
  });

  it.each([
    [undefined, 400, ''],
    [{ code: 200 }, 400, ''],
    [{ code: 999 }, 400, ''],
    [{ code: 503, reason: 'Busy', details: { retryAfterSeconds: 3 } }, 503, 'Busy'],
  ])('a denial with %j', (status, code, reason) => {
    const { status: told, httpCode } = statusOf(rejected('h', status));
    expect([httpCode, told.reason ?? '', told.status]).toEqual([code, reason, 'Failure']);
  });
});

describe('identityNameOf()', () => {
  const names = new Set(['hook.n.svc', 'hook.n.svc:8443', '*.m.svc', '*.svc', '*']);
  it.each([
    ['hook.n.svc:443', 'hook.n.svc'],
    ['hook.n.svc:8443', 'hook.n.svc:8443'],
    ['other.m.svc:443', '*.m.svc'],
    ['other.x.svc:443', '*.svc'],
    ['example.com:443', '*'],
  ])('%s', (host, want) => {
    expect(identityNameOf(names, host)).toBe(want);
    expect(identityNameOf(new Set(), host)).toBeUndefined();
  });
});

describe('what went wrong on the way', () => {
  it.each([
    [500, '', 'an error on the server ("unknown") has prevented the request from succeeding'],
    [502, 'a\n', 'an error on the server ("a") has prevented the request from succeeding'],
    [302, '', 'the server responded with the status code 302 but did not return more information'],
    [403, 'no', 'no'],
    [500, '{"kind":"Status","message":"own"}', 'own'],
  ])('%s %j', (code, body, want) => expect(describeStatus(code, body)).toBe(want));

  it.each([
    ['ECONNREFUSED', 'dial tcp 1.2.3.4:5: connect: connection refused'],
    ['ENOTFOUND', 'dial tcp: lookup h: no such host'],
    [
      'CERT_HAS_EXPIRED',
      'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
    ],
  ])('%s', (code, want) => {
    const error = Object.assign(new Error('x'), { code });
    expect(describeFailure(error, { address: '1.2.3.4:5', host: 'h' })).toBe(want);
  });

  it('a review goes with its version', () => {
    expect(renderReview('v1beta1', 'u', { name: 'n' })).toEqual({
      ...{
        kind: 'AdmissionReview',
        apiVersion: 'admission.k8s.io/v1beta1',
        request: { uid: 'u', name: 'n' },
      },
    });
  });
});
