import { invalidField, requiredField, tooLongField, type FieldError } from '#api/errors/field-error.ts';
import { when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, labelLengthMax, subdomainLengthMax } from '#api/validation/format.ts';

/** `example.com/signer-name`: a domain, and a path that has room for a namespace and a name (ValidateSignerName). */
export function signerNameErrors(name: string, field: string): readonly FieldError[] {
  if (name === '') return [requiredField(field)];
  const [domain = '', path = '', ...others] = name.split('/');
  if (others.length > 0 || !name.includes('/')) {
    const detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalidField(field, name, detail)];
  }
  const pathLengthMax = subdomainLengthMax + labelLengthMax + 1;
  const nameLengthMax = subdomainLengthMax + pathLengthMax + 1;
  // The first part that is wrong stands for the others.
  const partErrors = (text: string, format: typeof dnsLabel): readonly FieldError[] => {
    const part = text.split('.').find((each) => format(each).length > 0);
    const texts = part === undefined ? [] : format(part);
    return texts.map((wrong) =>
      invalidField(field, text, `validating label ${JSON.stringify(part)}: ${wrong}`),
    );
  };
  return [
    ...when(Buffer.byteLength(domain) > subdomainLengthMax, () => tooLongField(field, subdomainLengthMax)),
    ...partErrors(domain, dnsLabel),
    ...when(!domain.includes('.'), () =>
      invalidField(field, domain, 'should be a domain with at least two segments separated by dots'),
    ),
    ...partErrors(path, dnsSubdomain),
    ...when(Buffer.byteLength(name) > nameLengthMax, () => tooLongField(field, nameLengthMax)),
  ];
}
