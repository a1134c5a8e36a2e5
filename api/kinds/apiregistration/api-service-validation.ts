import { invalidField, notSupportedField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import {
  dns1035Label,
  dnsSubdomain,
  formatErrors,
  isPortNumber,
  portNumberText,
  requiredText,
} from '#api/validation/format.ts';

const groupPriorityMax = 20_000;
const versionPriorityMax = 1000;
const statuses = ['True', 'False', 'Unknown'];

/** Complaints about an APIService (kube-aggregator pkg/apis/apiregistration/validation). */
export function validateApiService(service: JsonObject): readonly FieldError[] {
  const spec = objectOf(service['spec']);
  const [group, version] = [stringOf(spec['group']), stringOf(spec['version'])];
  const priority = (name: string, max: number): readonly FieldError[] =>
    when(numberOf(spec[name]) <= 0 || numberOf(spec[name]) > max, () =>
      invalidField(`spec.${name}`, numberOf(spec[name]), `must be positive and less than ${max}`),
    );
  return [
    ...nameErrors(stringOf(at(service, 'metadata.name')), `${version}.${group}`),
    ...when(group === '' && version !== 'v1', () =>
      requiredField('spec.group', 'only v1 may have an empty group and it better be legacy kube'),
    ),
    ...(group === '' ? [] : formatErrors('spec.group', group, dnsSubdomain)),
    ...formatErrors('spec.version', version, dns1035Label),
    ...priority('groupPriorityMinimum', groupPriorityMax),
    ...priority('versionPriority', versionPriorityMax),
    ...(isObject(spec['service']) ? remoteErrors(spec, spec['service']) : localErrors(spec)),
  ];
}

/** Complaints about the status of an APIService. */
export function validateApiServiceStatus(service: JsonObject): readonly FieldError[] {
  return objectsOf(at(service, 'status.conditions')).flatMap(({ status }, index) =>
    when(!statuses.includes(stringOf(status)), () =>
      notSupportedField(`status.conditions[${index}].status`, status ?? '', statuses),
    ),
  );
}

function nameErrors(name: string, wanted: string): readonly FieldError[] {
  // What is no segment of a path was said before.
  return when(name !== '' && name !== wanted && !/[/%]/.test(name), () =>
    invalidField('metadata.name', name, `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`),
  );
}

/** A server that answers elsewhere. */
function remoteErrors(spec: JsonObject, service: JsonObject): readonly FieldError[] {
  const { port } = service;
  return [
    ...requiredText(service, 'namespace', 'spec.service'),
    ...requiredText(service, 'name', 'spec.service'),
    ...when(!isPortNumber(port), () =>
      invalidField('spec.service.port', port, `port is not valid: ${portNumberText}`),
    ),
    ...when(spec['insecureSkipTLSVerify'] === true && stringOf(spec['caBundle']) !== '', () =>
      invalidField('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'),
    ),
  ];
}

function localErrors(spec: JsonObject): readonly FieldError[] {
  const bundle = Buffer.from(stringOf(spec['caBundle']), 'base64');
  return [
    ...when(bundle.length > 0, () =>
      invalidField('spec.caBundle', `${bundle.length} bytes`, 'local APIServices may not have a caBundle'),
    ),
    ...when(spec['insecureSkipTLSVerify'] === true, () =>
      invalidField(
        'spec.insecureSkipTLSVerify',
        true,
        'local APIServices may not have insecureSkipTLSVerify',
      ),
    ),
  ];
}
