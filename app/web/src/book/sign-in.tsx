/** @jsxImportSource preact */
// Signing in: in development one chooses whom to be; real sign-in comes with the patient portal.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Patient, demoPatients } from "./patient";

interface Props {
  clinic: { name: string; phone: string | null } | null;
  development: boolean;
  /** What the button says. */
  action: string;
  signIn: (patient: Patient) => void;
  /** Whom the choice offers in development. */
  choice?: () => Promise<Patient[]>;
}

export function SignIn(props: Props) {
  const { clinic, development } = props;
  if (!development) {
    return (
      <>
        <p>To book online you need to sign in, which comes with the patient portal.</p>
        {clinic?.phone && (
          <p>
            Until then, please call {clinic.name}: <a href={`tel:${clinic.phone}`}>{clinic.phone}</a>
          </p>
        )}
      </>
    );
  }
  return <Choice {...props} />;
}

function Choice({ action, signIn, choice = () => demoPatients() }: Props) {
  const patients = useSignal<Patient[] | null>(null);
  const failed = useSignal(false);
  const chosen = useSignal(0);
  const read = () => {
    failed.value = false;
    choice().then(
      (found) => (patients.value = found),
      () => (failed.value = true),
    );
  };
  useEffect(read, []);
  if (failed.value) {
    return (
      <p>
        The demo's patients could not be read.{" "}
        <button type="button" onClick={read}>
          Try again
        </button>
      </p>
    );
  }
  if (!patients.value) return <p>Reading the demo's patients …</p>;
  const patient = patients.value[chosen.value];
  if (!patient) return <p>There are no patients yet. `appointments demo` makes some up.</p>;
  const submit = (event: Event) => {
    event.preventDefault();
    signIn(patient);
  };
  return (
    <form class="booking" onSubmit={submit}>
      <p>This is a development server: choose whom to be. Real sign-in comes with the patient portal.</p>
      <label>
        Demo patient
        <select onChange={({ currentTarget }) => (chosen.value = currentTarget.selectedIndex)}>
          {patients.value.map(({ id, name }) => (
            <option key={id}>{name}</option>
          ))}
        </select>
      </label>
      <p class="actions">
        <button type="submit" class="button">
          {action}
        </button>
      </p>
    </form>
  );
}
