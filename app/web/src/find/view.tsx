/** @jsxImportSource preact */
// The page for finding somebody: words, filters, results. What changes by itself moves neither the focus nor the list.
import { useRef } from "preact/hooks";
import { Box } from "./box";
import { Choice, Chosen, Filters, withoutFilters } from "./filters";
import type { Finding } from "./finding";
import { Hits } from "./hits";
import { SORTS, type Sort, filtersIn } from "./question";
import type { Suggesting } from "./suggesting";

interface Props {
  finding: Finding;
}

export function Page({ finding, suggesting }: Props & { suggesting: Suggesting }) {
  const title = useRef<HTMLHeadingElement>(null);
  const toResults = () => title.current?.focus();
  const submit = (event: Event) => {
    event.preventDefault();
    suggesting.submit();
  };
  return (
    <>
      <div class="ask">
        <h1>Find a provider</h1>
        <form role="search" action="/find" onSubmit={submit}>
          <Box finding={finding} suggesting={suggesting} />
          <button type="submit" class="button">
            Search
          </button>
          <Near finding={finding} />
        </form>
        <p class="notice" role="alert">
          {finding.unlocated.value}
        </p>
      </div>
      <div class="found">
        <Filters finding={finding} />
        <section class="results" aria-labelledby="results-title" aria-busy={finding.busy.value} data-state={finding.phase.value}>
          <div class="head">
            <h2 id="results-title" tabIndex={-1} ref={title}>
              <Title finding={finding} />
            </h2>
            <Order finding={finding} />
          </div>
          <Chosen finding={finding} leave={toResults} />
          <Notes finding={finding} toResults={toResults} />
          <Body finding={finding} toResults={toResults} />
        </section>
      </div>
      <p class="unseen" role="status">
        {finding.spoken.value}
      </p>
    </>
  );
}

function Title({ finding }: Props) {
  if (finding.phase.value === "loading") return <>Searching …</>;
  if (finding.phase.value !== "ready") return <>Results</>;
  const { text } = finding.question.value;
  return (
    <>
      {finding.total.value === 0 ? "No results" : finding.title.value}
      {text && <> for “{text}”</>}
    </>
  );
}

function Near({ finding }: Props) {
  if (finding.near) {
    return (
      <button type="button" class="near" aria-pressed="true" onClick={() => finding.notNearMe()}>
        Near me
      </button>
    );
  }
  const asking = finding.locating.value === "asking";
  return (
    <button type="button" class="near" aria-pressed="false" aria-disabled={asking} onClick={() => void finding.nearMe()}>
      {asking ? "Locating …" : "Near me"}
    </button>
  );
}

function Order({ finding }: Props) {
  const { sort } = finding.question.value;
  const choose = (value: string) => (value === "DISTANCE" ? void finding.nearest() : finding.change({ sort: value as Sort }));
  return (
    <div class="order">
      <Choice label="Order by" value={sort} offered={SORTS} choose={choose} />
    </div>
  );
}

function Notes({ finding, toResults }: Props & { toResults: () => void }) {
  const offline = !finding.online.value;
  const again = () => {
    toResults();
    void finding.search();
  };
  return (
    <div class="notes">
      {finding.degraded.value && (
        <p class="note" data-note="degraded">
          Spelling mistakes are followed less exactly right now. If somebody is missing, check the spelling or write fewer words.
        </p>
      )}
      {(offline || finding.old.value) && (
        <p class="note" data-note="old">
          {offline ? "You are offline" : "Nothing was heard from the clinics for a while"}: the times may be out of date.
        </p>
      )}
      {finding.moved.value && (
        <p class="note" data-note="moved">
          The list has changed while you were looking.{" "}
          <button type="button" class="link" onClick={again}>
            Show the new list
          </button>
        </p>
      )}
    </div>
  );
}

function Body({ finding, toResults }: Props & { toResults: () => void }) {
  const phase = finding.phase.value;
  if (phase === "loading") return <Skeleton />;
  if (phase === "failed") return <Failed finding={finding} />;
  if (phase === "refused") return <Refused finding={finding} />;
  if (finding.hits.value.length === 0) return <Empty finding={finding} toResults={toResults} />;
  return (
    <>
      <Hits finding={finding} />
      <p class="fault" role="alert">
        {finding.problem.value}
      </p>
      {finding.cursor.value && (
        <p class="more">
          <button type="button" aria-disabled={finding.adding.value} onClick={() => void finding.more()}>
            {finding.adding.value ? "Reading more …" : "Show more results"}
          </button>
          <span class="quiet">
            {finding.hits.value.length} of {finding.total.value}
          </span>
        </p>
      )}
    </>
  );
}

function Skeleton() {
  return (
    <div class="hits" aria-hidden="true">
      {[0, 1, 2, 3].map((one) => (
        <div class="hit bone" key={one} />
      ))}
    </div>
  );
}

function Failed({ finding }: Props) {
  return (
    <div class="card message" role="alert">
      <p>
        <b>{finding.online.value ? "The search did not answer." : "You are offline."}</b>
      </p>
      <p>{finding.online.value ? "It may work again in a moment." : "The search goes on as soon as the connection is back."}</p>
      <p>
        <button type="button" onClick={() => void finding.search()}>
          Try again
        </button>
      </p>
    </div>
  );
}

function Refused({ finding }: Props) {
  return (
    <div class="card message" role="alert">
      <p>
        <b>This can't be searched for.</b>
      </p>
      <p>{finding.problem.value}</p>
    </div>
  );
}

function Empty({ finding, toResults }: Props & { toResults: () => void }) {
  const question = finding.question.value;
  const filters = filtersIn(question);
  const change = (less: () => void) => () => {
    toResults();
    less();
  };
  return (
    <div class="card message">
      <p>
        <b>Nobody fits all of this.</b>
      </p>
      <ul>
        {question.text && <li>Check the spelling, or write fewer words: every word must fit.</li>}
        {question.text && <li>Say it plainly: “heart doctor”, “back pain”, “speaks Polish”, or the name of a city.</li>}
        {filters > 0 && <li>Take filters away: {filters === 1 ? "one is" : `${filters} are`} on.</li>}
      </ul>
      <p class="actions">
        {filters > 0 && (
          <button type="button" onClick={change(() => withoutFilters(finding))}>
            Search without filters
          </button>
        )}
        {question.text && (
          <button type="button" onClick={change(() => finding.change({ text: "" }))}>
            Show everybody{filters > 0 ? " with these filters" : ""}
          </button>
        )}
        <a href="/calendar">Look at a clinic's calendar</a>
      </p>
    </div>
  );
}
