import{a as I}from"./chunk.A6RLWG33.js";import{a as x}from"./chunk.347K3NNA.js";import{a as f,b as P,c as T,d as S,e as m,f as D,h as O,i as c,j as _}from"./chunk.PVCOVTQN.js";import"./chunk.4FMPZ2DR.js";import{a as l,b,d as k,e as E,g as a,j as A,k as d,w as t}from"./chunk.TLLUHCT6.js";import"./chunk.S47QW7L4.js";var C=`mutation Accept($input: AcceptOfferInput!) {
  result: acceptOffer(input: $input) {
    __typename
    ... on OfferAccepted {
      appointment {
        ...Booked
      }
    }
    ... on OfferGone {
      message
      status
    }
    ... on Refusal {
      message
    }
    ... on PatientConflict {
      other: appointment {
        ...Booked
      }
    }
  }
}

fragment Booked on Appointment {
  id
  startsAt
  endsAt
  changeableUntil
  provider {
    name
  }
  clinic {
    name
    phone
    timeZone
    address {
      lines
      city
      region
      postalCode
    }
  }
  visitType {
    name
    modality
  }
}
`;var N=`mutation Decline($input: DeclineOfferInput!) {
  result: declineOffer(input: $input) {
    __typename
    ... on OfferDeclined {
      entry {
        status
      }
    }
    ... on OfferGone {
      message
      status
    }
    ... on Refusal {
      message
    }
  }
}
`;var R=`query OfferToAnswer($id: ID!) {
  node(id: $id) {
    ... on WaitlistOffer {
      id
      status
      expiresAt
      slot {
        ...Visit
      }
      entry {
        status
        appointment {
          ...Booked
        }
      }
    }
  }
}

fragment Visit on Slot {
  id
  startsAt
  endsAt
  localDate
  provider {
    id
    name
    kind
  }
  clinic {
    id
    name
    phone
    timeZone
    address {
      lines
      city
      region
      postalCode
    }
  }
  visitType {
    id
    name
    modality
  }
}

fragment Booked on Appointment {
  id
  startsAt
  endsAt
  changeableUntil
  provider {
    name
  }
  clinic {
    name
    phone
    timeZone
    address {
      lines
      city
      region
      postalCode
    }
  }
  visitType {
    name
    modality
  }
}
`;var h=60,V=3e3,B=[300,h],u=class{constructor(e){this.id=e;setInterval(()=>this.#c(),500),addEventListener("pageshow",({persisted:n})=>n&&void this.begin())}id;step=a("loading");patient=a(S());offer=a(null);appointment=a(null);other=a(null);seconds=a(0);spoken=a("");#o=0;#d={accept:f(),decline:f()};#i="accept";#n=()=>{};async begin(){this.step.value=this.patient.value?"loading":"sign-in",this.patient.value&&(this.#n(),this.#n=x(this.patient.value.token,()=>{this.#a()}),await this.#e())}signIn(e){m(e),this.patient.value=e,this.begin()}signOut(){this.#n(),m(null),this.patient.value=this.offer.value=this.appointment.value=null,this.step.value="sign-in"}async accept(){let e=await this.#s("accept",C);switch(e?.__typename){case"OfferAccepted":this.#p(e.appointment),this.#t("You are booked.");break;case"PatientConflict":this.other.value=e.other,this.step.value="conflict";break;case"OfferGone":await this.#e();break;case"IdempotencyMismatch":case"NotFound":this.step.value=e.__typename==="NotFound"?"missing":"mixed"}}async decline(){let e=await this.#s("decline",N);e&&(e.__typename==="NotFound"?this.step.value="missing":e.__typename==="IdempotencyMismatch"?this.step.value="mixed":await this.#e())}async again(){this.step.value!=="unknown"?await this.begin():this.#i==="accept"?await this.accept():await this.decline()}back(){this.#e()}async#s(e,n){let i=this.patient.value;if(!i||this.step.value==="answering")return null;this.#i=e,this.step.value="answering";try{return await P(n,{offerId:this.id,idempotencyKey:this.#d[e]},i.token)}catch(s){return this.#u(s,"unknown"),null}}async#e(){let e=this.patient.value;if(e)try{let n=await this.#r(e);if(!n){this.step.value="missing";return}this.offer.value?.id!==n.id&&await this.#f(n.slot),this.#l(n)}catch(n){this.#u(n,"unread")}}async#a(){let e=this.patient.value;if(!e||this.step.value!=="offered")return;let n=await this.#r(e).catch(()=>null);n&&this.step.value==="offered"&&this.patient.value===e&&this.#l(n)}async#r(e){let{node:n}=await d("/graphql",R,{id:this.id},{token:e.token});return n?.expiresAt?n:null}#l(e){if(this.offer.value=e,e.status==="ACCEPTED"&&e.entry.appointment)return this.#p(e.entry.appointment);this.step.value=e.status==="LIVE"?"offered":"over",this.#c()}#p(e){this.appointment.value=e,this.step.value="booked"}async#f({clinic:e,visitType:n,provider:i,localDate:s}){let r={clinicId:e.id,visitTypeId:n.id,providerIds:[i.id],from:s,to:s},p=await d("/graphql",I,{filter:r}).catch(()=>null);p?.availability&&(this.#o=Date.parse(p.availability.serverTime)-Date.now())}#c(){let e=this.offer.value;if(!e||this.step.value!=="offered")return;let n=this.seconds.value,i=Math.max(0,Math.ceil((Date.parse(e.expiresAt)-Date.now()-this.#o)/1e3));if(i===n)return;this.seconds.value=i;let s=B.find(r=>i<=r&&n>r);s&&i>0&&this.#t(`${s/60} minute${s===60?"":"s"} left to answer.`),!(i>0)&&(this.#t("The offer has run out."),setTimeout(()=>{this.#a()},V))}#u(e,n){e instanceof A&&(e.code==="UNAUTHENTICATED"||e.code==="FORBIDDEN")?(this.signOut(),this.#t("Please sign in again.")):this.step.value=n}#t(e){this.spoken.value=this.spoken.value===e?`${e} `:e}};var W={ACCEPTED:{title:"You have taken this time",text:"It was booked for you. Your appointment has changed since then."},DECLINED:{title:"You have passed this time on",text:"It goes to the next person who waits, or is open to everybody."},EXPIRED:{title:"This offer has run out",text:"It was not answered in time, so it went to the next person who waits, or is open to everybody."},SUPERSEDED:{title:"This offer was withdrawn",text:"The time can't be given to you any more: it meets another appointment of yours, or the clinic took it back."}},G={ACTIVE:"You are still on the waitlist: we tell you when the next time opens.",OFFERED:"You are still on the waitlist, and another time is offered to you.",SUSPENDED:"Three offers in a row were not taken, so we have stopped sending you more. You can wait again whenever you like."};function v({status:o,entry:e}){return{...W[o==="LIVE"?"EXPIRED":o],waiting:G[e.status]??"You are no longer on the waitlist for it."}}function M({answering:o,development:e}){let[n,i,s]=[o.step.value,o.offer.value,o.patient.value];return t(l,{children:[t(H,{answering:o}),t("div",{class:"columns",children:[i&&n!=="booked"&&t("section",{class:"card","aria-label":"The time",children:t(D,{...i.slot})}),t("div",{class:"card step","data-step":n,"aria-busy":n==="loading"||n==="answering",children:t(K,{answering:o,development:e})})]}),e&&s&&t("p",{class:"quiet",children:["Development: acting as ",s.name,"."," ",t("button",{type:"button",class:"link",onClick:()=>o.signOut(),children:"Be somebody else"})]}),t("p",{class:"unseen",role:"status",children:o.spoken.value})]})}var Z={missing:"There is no such offer for you",unread:"The offer could not be read",booked:"You are booked",conflict:"You have another appointment then",mixed:"Something got mixed up",unknown:"No answer yet"},q=new Set(["booked","over","conflict","mixed","unknown","missing"]);function H({answering:o}){let[e,n]=[o.step.value,o.offer.value],i=e==="over"&&n?v(n).title:Z[e]??"A time for you",s=E(null);return k(()=>{document.title=`${i} · Appointments`,q.has(e)&&s.current?.focus()},[e,i]),t("h1",{ref:s,tabIndex:-1,children:i})}function K({answering:o,development:e}){switch(o.step.value){case"loading":return t("p",{children:"Reading the offer …"});case"sign-in":return t(_,{clinic:null,development:e,action:"Sign in and see the offer",signIn:n=>o.signIn(n),choice:()=>T(o.id)});case"missing":return t(l,{children:[t("p",{children:"It was made to somebody else, or the link is incomplete. Offers can be seen only by the person they were made to."}),t("p",{class:"actions",children:t("a",{href:"/calendar",children:"See open times"})})]});case"unread":return t(y,{text:"The clinic's calendar did not answer.",answering:o});case"unknown":return t(y,{text:"The clinic's calendar did not answer, so we don't know the outcome yet. Trying again is safe: nothing is booked twice.",answering:o});case"offered":case"answering":return t(X,{answering:o});case"over":return t(z,{answering:o});case"conflict":return t(J,{answering:o});case"mixed":return t(y,{text:"Nothing was booked by this page. Please look at the offer again.",answering:o});case"booked":return o.appointment.value&&t(O,{appointment:o.appointment.value})}}function X({answering:o}){let e=o.offer.value,n=o.step.value==="answering",i=o.seconds.value===0;if(!e)return null;let{appointment:s}=e.entry;return t(l,{children:[t(Q,{answering:o}),s&&t("p",{children:["It takes the place of your appointment on ",c(s.startsAt,null,s.clinic.timeZone),", which stays yours until you say yes."]}),t("p",{class:"actions",children:[t("button",{type:"button",class:"button","aria-disabled":n||i,onClick:()=>!n&&!i&&void o.accept(),children:n?"One moment …":s?"Move my appointment to this time":"Take this time"}),t("button",{type:"button","aria-disabled":n||i,onClick:()=>!n&&!i&&void o.decline(),children:"No, thank you"})]}),t("p",{class:"quiet",children:"If you say no, the time goes to the next person who waits. You stay on the waitlist."})]})}function Q({answering:o}){let[e,n]=[o.seconds.value,o.offer.value];if(!n)return null;let i=c(n.expiresAt,null,n.slot.clinic.timeZone);if(e===0)return t("div",{class:"hold","data-state":"over",children:t("p",{children:[t("b",{children:"This offer has run out."})," It was kept for you until ",i,"."]})});let[s,r,w]=[Math.floor(e/3600),Math.floor(e/60)%60,e%60],p=L=>String(L).padStart(2,"0");return t("div",{class:"hold","data-state":e<=h?"ending":"held",children:t("p",{children:["Kept for you for"," ",t("b",{role:"timer",class:"timer",children:[s>0?`${s}:${p(r)}`:r,":",p(w)]}),", until ",i,". Nobody else can book it meanwhile."]})})}function z({answering:o}){let e=o.offer.value;if(!e)return null;let n=v(e),{clinic:i,visitType:s}=e.slot;return t(l,{children:[t("p",{children:n.text}),t("p",{children:n.waiting}),t("p",{class:"actions",children:[t("a",{class:"button",href:`/wait?${new URLSearchParams({clinic:i.id,visitType:s.id})}`,children:e.entry.status==="ACTIVE"||e.entry.status==="OFFERED"?"See what you wait for":"Wait again"}),t("a",{href:`/calendar?${new URLSearchParams({clinic:i.id,"visit-type":s.id})}`,children:"See all open times"})]})]})}function J({answering:o}){let e=o.other.value;return t(l,{children:[t("p",{children:"You can't be in two places at once, so this time was not booked. The offer is still yours until it runs out."}),e&&t("p",{children:["You have: ",e.visitType.name," with ",e.provider.name,", ",c(e.startsAt,e.endsAt,e.clinic.timeZone),"."]}),t("p",{class:"actions",children:t("button",{type:"button",class:"button",onClick:()=>o.back(),children:"Back to the offer"})})]})}function y({text:o,answering:e}){return t(l,{children:[t("p",{children:o}),t("p",{class:"actions",children:t("button",{type:"button",class:"button",onClick:()=>{e.again()},children:"Try again"})})]})}var g=document.getElementById("offer"),$=new u(decodeURIComponent(location.pathname.split("/").at(-1)??""));g.replaceChildren();b(t(M,{answering:$,development:g.dataset.mode==="development"}),g);$.begin();
