/**
 * The hospital's data, for offloaded pods to read: `/patients`, `/patients/:id`, `/healthz`. Nobody in it is real.
 *
 *     PORT=8080 deno run --allow-net --allow-env=PORT,HOST demo/hospital-app/main.ts
 */
import { type Handler, json, routes, runApp } from "../app.ts";

/** A patient who does not exist. */
export interface Patient {
  id: number;
  name: string;
  /** In years. */
  age: number;
  ward: string;
  diagnosis: string;
}

/** All there are. */
export const patients: readonly Patient[] = [
  { id: 1, name: "Ada Quince", age: 71, ward: "cardiology", diagnosis: "atrial fibrillation" },
  { id: 2, name: "Bruno Marl", age: 64, ward: "cardiology", diagnosis: "heart failure" },
  { id: 3, name: "Cleo Tarn", age: 29, ward: "neurology", diagnosis: "migraine" },
  { id: 4, name: "Dario Fenn", age: 58, ward: "endocrinology", diagnosis: "type 2 diabetes" },
  { id: 5, name: "Edda Holm", age: 47, ward: "endocrinology", diagnosis: "type 2 diabetes" },
  { id: 6, name: "Fritz Oake", age: 83, ward: "cardiology", diagnosis: "heart failure" },
  { id: 7, name: "Gwen Sallow", age: 35, ward: "pneumology", diagnosis: "asthma" },
  { id: 8, name: "Hugo Vane", age: 52, ward: "neurology", diagnosis: "epilepsy" },
];

/** Answers the hospital's requests. */
export const hospital: Handler = routes({
  "/patients": () => json(patients),
  "/patients/:id": ({ groups: { id = "" } }) => {
    const patient = patients.find((patient) => String(patient.id) === id);
    if (patient) return json(patient);
    const error = `Cannot find patient "${id}": the id must be a number from 1 to ${patients.length}`;
    return json({ error }, 404);
  },
});

if (import.meta.main) runApp("hospital-app", () => hospital);
