import { PodwrightError } from '#base/errors.ts';
import { describe, expect, it } from 'vitest';
import { forbiddenField, notSupportedField, requiredField } from './field-error.ts';
import * as status from './status.ts';

const deployments = { group: 'apps', resource: 'deployments', kind: 'Deployment', version: 'v1' };
const configMaps = { group: '', resource: 'configmaps', kind: 'ConfigMap', version: 'v1' };
const pods = { group: '', resource: 'pods', kind: 'Pod', version: 'v1' };
const namespaces = { group: '', resource: 'namespaces', kind: 'Namespace', version: 'v1' };

/** Bodies of kube-apiserver 1.36.2, from errors-observed and its neighbours. */
const observed: readonly (readonly [error: PodwrightError, body: string])[] = [
  [
    status.notFound(pods, 'nope'),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"nope\" not found","reason":"NotFound","details":{"name":"nope","kind":"pods"},"code":404}`,
  ],
  [
    status.notFound(namespaces, 'zz'),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"namespaces \"zz\" not found","reason":"NotFound","details":{"name":"zz","kind":"namespaces"},"code":404}`,
  ],
  [
    status.alreadyExists(deployments, 'x'),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"x\" already exists","reason":"AlreadyExists","details":{"name":"x","group":"apps","kind":"deployments"},"code":409}`,
  ],
  [
    status.conflict(configMaps, 'x'),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"x\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"x","kind":"configmaps"},"code":409}`,
  ],
  [
    status.forbidden(
      pods,
      '',
      'User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
    ),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope","reason":"Forbidden","details":{"kind":"pods"},"code":403}`,
  ],
  [
    status.namespaceTerminating(configMaps, 'x', 't'),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"x\" is forbidden: unable to create new content in namespace t because it is being terminated","reason":"Forbidden","details":{"name":"x","kind":"configmaps","causes":[{"reason":"NamespaceTerminating","message":"namespace t is being terminated","field":"metadata.namespace"}]},"code":403}`,
  ],
  [
    status.unauthorized(),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}',
  ],
  [
    status.invalid(configMaps, '', [requiredField('metadata.name', 'name or generateName is required')]),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required","reason":"Invalid","details":{"kind":"ConfigMap","causes":[{"reason":"FieldValueRequired","message":"Required value: name or generateName is required","field":"metadata.name"}]},"code":422}`,
  ],
  [
    status.invalidOptions('CreateOptions', [notSupportedField('dryRun', ['foo'], ['All'])]),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"foo\"]: supported values: \"All\"","reason":"Invalid","details":{"group":"meta.k8s.io","kind":"CreateOptions","causes":[{"reason":"FieldValueNotSupported","message":"Unsupported value: [\"foo\"]: supported values: \"All\"","field":"dryRun"}]},"code":422}`,
  ],
  [
    status.invalidOptions('ListOptions', [
      forbiddenField(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden unless resourceVersion is provided',
      ),
    ]),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided","reason":"Invalid","details":{"group":"meta.k8s.io","kind":"ListOptions","causes":[{"reason":"FieldValueForbidden","message":"Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided","field":"resourceVersionMatch"}]},"code":422}`,
  ],
  [
    status.unsupportedPatchType(),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"415: Unsupported Media Type","reason":"UnsupportedMediaType","details":{},"code":415}',
  ],
  [
    status.unsupportedCustomPatchType(),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml","reason":"UnsupportedMediaType","code":415}',
  ],
  [
    status.unsupportedMediaType(),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf","reason":"UnsupportedMediaType","code":415}',
  ],
  [
    status.notAcceptable(),
    String.raw`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch","reason":"NotAcceptable","details":{},"code":406}`,
  ],
  [
    status.patchRejected(),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server rejected our request due to an error in our request","reason":"Invalid","details":{},"code":422}',
  ],
  [
    status.methodNotAllowed(),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server does not allow this method on the requested resource","reason":"MethodNotAllowed","details":{},"code":405}',
  ],
  [
    status.tooLargeResourceVersion(99_999_999, 336),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 99999999, current: 336","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504}',
  ],
  [
    status.expired('The resourceVersion for the provided list is too old.'),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"The resourceVersion for the provided list is too old.","reason":"Expired","code":410}',
  ],
  [
    status.statusError(500, '', 'map: map[image:z] does not contain declared merge key: name'),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"map: map[image:z] does not contain declared merge key: name","code":500}',
  ],
];

describe('errors as kube-apiserver 1.36.2 answers them', () => {
  it.each(observed.map(([error, body]) => [error.message, error, body] as const))(
    '%s',
    (_message, error, body) => {
      expect(JSON.stringify(error.detail['status'])).toBe(body);
      expect(error.detail['httpCode']).toBe(JSON.parse(body).code);
    },
  );
});

describe('statusOf()', () => {
  it('takes the Status out of an E_API', () => {
    expect(status.statusOf(status.notFound(pods, 'x'))).toMatchObject({
      httpCode: 404,
      status: { reason: 'NotFound' },
    });
  });

  it('answers everything else as an internal error', () => {
    expect(status.statusOf(new TypeError('oops'))).toMatchObject({
      httpCode: 500,
      status: { reason: 'InternalError', message: 'Internal error occurred: oops' },
    });
    expect(status.statusOf(new PodwrightError('E_INVALID', 'x')).httpCode).toBe(500);
  });
});
