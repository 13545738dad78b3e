import{a as R}from"./chunk.A6RLWG33.js";import{a as r,b as m,d as O,e as g,f as B,h as E,i as b,j as D}from"./chunk.PVCOVTQN.js";import{a as u,b as A,d as x,e as _,g as s,j as y,k as d,m as N,w as t}from"./chunk.TLLUHCT6.js";import"./chunk.S47QW7L4.js";var H=`query BookedHere($id: ID!) {
  appointment(id: $id) {
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
}
`;var C=`mutation Book($input: BookAppointmentInput!) {
  result: bookAppointment(input: $input) {
    __typename
    ... on AppointmentBooked {
      appointment {
        ...Booked
      }
    }
    ... on Refusal {
      message
    }
    ... on PolicyViolation {
      rule
    }
    ... on SlotTaken {
      alternatives {
        ...Alternative
      }
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

fragment Alternative on Slot {
  id
  startsAt
  localDate
  provider {
    name
    acceptingNewPatients
  }
  clinic {
    timeZone
  }
}
`;var k=`mutation Hold($input: HoldSlotInput!) {
  result: holdSlot(input: $input) {
    __typename
    ... on SlotHeld {
      hold {
        id
        expiresAt
      }
    }
    ... on Refusal {
      message
    }
    ... on PolicyViolation {
      rule
    }
    ... on SlotTaken {
      alternatives {
        ...Alternative
      }
    }
  }
}

fragment Alternative on Slot {
  id
  startsAt
  localDate
  provider {
    name
    acceptingNewPatients
  }
  clinic {
    timeZone
  }
}
`;var w=`mutation Release($input: ReleaseHoldInput!) {
  result: releaseHold(input: $input) {
    __typename
  }
}
`;var $=`query SlotToBook($id: ID!) {
  node(id: $id) {
    ... on Slot {
      id
      startsAt
      endsAt
      localDate
      status
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
  }
}
`;var J={PAST:{title:"This time is over",text:"It has already begun. Please choose a later one."},NOT_OFFERED:{title:"This time is not offered",text:"The clinic's hours may have changed. Please choose another time."},MINIMUM_NOTICE:{title:"This time is too soon",text:"The clinic needs more notice for this kind of visit. Please choose a later time, or call."},BOOKING_WINDOW:{title:"This time is too far ahead",text:"The clinic does not take bookings for that day yet. Please choose an earlier time, or call."},HOLD_LIMIT:{title:"You are holding too many times",text:"You can hold five times at once. Book or leave one of the others, or wait until it ends, then try again."},NOT_ACCEPTING_NEW_PATIENTS:{title:"No new patients at the moment",text:"This provider takes only people who have been there before. Please choose another provider, or call the clinic."}};function c(n){switch(n.__typename){case"SlotTaken":return n.alternatives.length>0?{title:"Somebody was faster",text:"This time has just been taken. These are free and close to it:"}:{title:"Somebody was faster",text:"This time has just been taken, and nothing close to it is free."};case"PatientConflict":return{title:"You have another appointment then",text:"You can't be in two places at once. Please choose another time."};case"PolicyViolation":return J[n.rule]??{title:"This time can't be booked",text:n.message};case"IdempotencyMismatch":return{title:"Something got mixed up",text:"Nothing was booked by this page. Please start again."};case"NotFound":return{title:"There is no such time",text:"The link may be old or incomplete. Please choose a time again."}}}var T="appointments:left",M="appointments:booked:",v=60,p=255,f=class{constructor(e){this.slotId=e;setInterval(()=>this.tick(),500),addEventListener("pagehide",()=>this.#p()),addEventListener("pageshow",({persisted:i})=>i&&void this.begin())}slotId;step=s("loading");slot=s(null);patient=s(O());hold=s(null);seconds=s(0);extendable=s(!0);extending=s(!1);reason=s("");fault=s("");refusal=s(null);alternatives=s([]);appointment=s(null);spoken=s("");#o=0;#a=r();#s=r();#l="hold";async begin(){this.step.value="loading",this.hold.value=null;try{let{node:i}=await d("/graphql",$,{id:this.slotId});if(!i?.startsAt){this.step.value="missing";return}this.slot.value=i,await this.#u(i)}catch{this.step.value="unread";return}let e=this.patient.value;e?await this.#c(e)||await this.take():this.step.value="sign-in"}signIn(e){g(e),this.patient.value=e,this.take()}signOut(){this.#t(),g(null),this.patient.value=null,this.hold.value=null,this.step.value="sign-in"}async take(){[this.#a,this.#s]=[r(),r()],this.extendable.value=!0,await this.#r()}async takeInstead(e){this.#t(),this.alternatives.value=this.alternatives.value.filter(({id:i})=>i!==e),this.slotId=e,history.replaceState(null,"",`/book?slot=${encodeURIComponent(e)}`),await this.begin()}async extend(){let[e,i]=[this.hold.value,this.patient.value];if(!(!e||!i||this.extending.value)){this.extending.value=!0;try{let o={slotId:this.slotId,idempotencyKey:r()},a=await m(k,o,i.token);if(a.__typename!=="SlotHeld")return this.#n(a);this.hold.value=a.hold,this.extendable.value=!1,this.tick();let l=Date.parse(a.hold.expiresAt)>Date.parse(e.expiresAt);this.#e(l?"The time is held for 5 more minutes.":"The time can't be held any longer.")}catch(o){this.#i(o,()=>this.#e("The clinic's calendar did not answer. Please try again."))}finally{this.extending.value=!1}}}async book(){let e=this.patient.value;if(!e)return;this.step.value="booking",this.fault.value="";let i=this.reason.value.trim().replace(/\s+/g," ")||null;try{let o={slotId:this.slotId,reason:i,idempotencyKey:this.#s},a=await m(C,o,e.token);if(a.__typename!=="AppointmentBooked")return this.#n(a);this.hold.value=null,this.appointment.value=a.appointment,sessionStorage.setItem(M+this.slotId,a.appointment.id),this.step.value="booked"}catch(o){o instanceof y&&o.code==="BAD_USER_INPUT"?(this.fault.value=o.message,this.step.value="held"):this.#i(o,()=>this.#d("book"))}}async again(){this.step.value==="unread"?await this.begin():this.#l==="book"?await this.book():await this.#r()}tick(){let e=this.hold.value;if(!e)return;let i=this.seconds.value,o=Math.max(0,Math.ceil((Date.parse(e.expiresAt)-Date.now()-this.#o)/1e3));o!==i&&(this.seconds.value=o,this.step.value==="held"&&(o<=v&&i>v&&this.#e(this.extendable.value?"One minute left. You can ask for more time.":"One minute left."),o===0&&this.#e("The time is no longer held for you. It may still be free.")))}async#r(){let[e,i]=[this.patient.value,this.slot.value];if(!(!e||!i)){this.step.value="holding";try{await this.#h(e);let o={slotId:this.slotId,idempotencyKey:this.#a},a=await m(k,o,e.token);if(a.__typename!=="SlotHeld")return this.#n(a);this.seconds.value=0,this.hold.value=a.hold,this.step.value="held",this.tick(),this.#e(`${N(i.startsAt,i.clinic.timeZone)} is held for you for ${Math.round(this.seconds.value/60)} minutes.`)}catch(o){this.#i(o,()=>this.#d("hold"))}}}async#u({clinic:e,visitType:i,provider:o,localDate:a}){let l={clinicId:e.id,visitTypeId:i.id,providerIds:[o.id],from:a,to:a},{availability:h}=await d("/graphql",R,{filter:l});h&&(this.#o=Date.parse(h.serverTime)-Date.now())}async#c(e){let i=sessionStorage.getItem(M+this.slotId);if(!i)return!1;let o=await d("/graphql",H,{id:i},{token:e.token}).catch(()=>null);return o?.appointment?(this.appointment.value=o.appointment,this.step.value="booked",!0):!1}#n(e){this.#t(),this.hold.value=null,this.refusal.value=e,e.__typename==="SlotTaken"&&(this.alternatives.value=e.alternatives),this.step.value="refused",this.#e(c(e).title)}#i(e,i){if(!(e instanceof y))return i();e.code==="UNAUTHENTICATED"||e.code==="FORBIDDEN"?(this.signOut(),this.#e("Please sign in again.")):i()}#d(e){this.#l=e,this.step.value="unknown"}#e(e){this.spoken.value=this.spoken.value===e?`${e} `:e}#t(){let[e,i]=[this.hold.value,this.patient.value];if(!e||!i)return;let o={holdId:e.id,idempotencyKey:r()};sessionStorage.setItem(T,JSON.stringify(o)),this.hold.value=null,d("/graphql",w,{input:o},{token:i.token,keepalive:!0}).catch(()=>{})}#p(){this.step.value!=="booking"&&this.#t()}async#h(e){let i=sessionStorage.getItem(T);i&&(sessionStorage.removeItem(T),await d("/graphql",w,{input:JSON.parse(i)},{token:e.token}).catch(()=>{}))}};function L({booking:n}){let e=n.step.value==="booking";return t("form",{class:"booking",onSubmit:o=>{o.preventDefault(),e||n.book()},children:[t(X,{booking:n}),t(j,{booking:n,readOnly:e}),t("p",{class:"actions",children:t("button",{type:"submit",class:"button","aria-disabled":e,children:e?"Booking …":"Book this time"})})]})}function X({booking:n}){let e=n.seconds.value;if(e===0)return t("div",{class:"hold","data-state":"over",children:[t("p",{children:[t("b",{children:"The time is no longer held for you."})," It may still be free: hold it again, or book it right away."]}),t("button",{type:"button",onClick:()=>{n.take()},children:"Hold it again"})]});let i=e<=v;return t("div",{class:"hold","data-state":i?"ending":"held",children:[t("p",{children:["Held for you for"," ",t("b",{role:"timer",class:"timer",children:[Math.floor(e/60),":",String(e%60).padStart(2,"0")]}),i?".":". Nobody else can book it meanwhile."]}),i&&n.extendable.value&&t("button",{type:"button","aria-disabled":n.extending.value,onClick:()=>{n.extend()},children:"Hold it 5 minutes more"})]})}function j({booking:n,readOnly:e}){let i=n.reason.value.length;return t("div",{class:"field",children:[t("label",{for:"reason",children:"Reason for the visit (optional)"}),t("textarea",{id:"reason",rows:3,maxLength:p,readOnly:e,"aria-describedby":"reason-hint reason-fault","aria-invalid":n.fault.value!=="",value:n.reason.value,onInput:({currentTarget:o})=>n.reason.value=o.value}),t("p",{id:"reason-hint",class:"quiet",children:["Only the clinic sees it. ",p-i<60?`${p-i} characters left.`:`At most ${p} characters.`]}),t("p",{id:"reason-fault",class:"fault",role:"alert",children:n.fault.value})]})}function U({booking:n,development:e}){let i=n.step.value;return t(u,{children:[t(te,{booking:n}),t("div",{class:"columns",children:[i==="booked"?null:t(ie,{booking:n}),t("div",{class:"card step","data-step":i,"aria-busy":i==="loading"||i==="holding"||i==="booking",children:t(ne,{booking:n,development:e})})]}),e&&n.patient.value&&t("p",{class:"quiet",children:["Development: acting as ",n.patient.value.name,"."," ",t("button",{type:"button",class:"link",onClick:()=>n.signOut(),children:"Be somebody else"})]}),t("p",{class:"unseen",role:"status",children:n.spoken.value})]})}var z={missing:"There is no such time",unread:"The time could not be read",booked:"You are booked",unknown:"No answer yet"},ee=new Set(["booked","refused","unknown","missing"]);function te({booking:n}){let[e,i]=[n.step.value,n.refusal.value],o=e==="refused"&&i?c(i).title:z[e]??"Book this time",a=_(null);return x(()=>{document.title=`${o} · Appointments`,ee.has(e)&&a.current?.focus()},[e,o]),t("h1",{ref:a,tabIndex:-1,children:o})}function ne({booking:n,development:e}){switch(n.step.value){case"loading":return t("p",{children:"Reading the time …"});case"holding":return t("p",{children:"Holding the time for you …"});case"missing":return t(ae,{text:"The link may be old or incomplete.",booking:n});case"unread":return t(F,{text:"The clinic's calendar did not answer.",booking:n});case"sign-in":return t(D,{clinic:n.slot.value?.clinic??null,development:e,action:"Sign in and hold this time",signIn:i=>n.signIn(i)});case"held":case"booking":return t(L,{booking:n});case"unknown":return t(F,{text:"The clinic's calendar did not answer, so we don't know the outcome yet. Trying again is safe: nothing is booked twice.",booking:n});case"refused":return t(se,{booking:n});case"booked":return n.appointment.value&&t(E,{appointment:n.appointment.value})}}function ie({booking:n}){let e=n.slot.value;return e?t("section",{class:"card","aria-label":"The time",children:t(B,{...e,clinic:e.clinic})}):null}function S({booking:n}){let e=n.slot.value?.clinic;return e?.phone?t("p",{children:["Or call ",e.name,": ",t("a",{href:`tel:${e.phone}`,children:e.phone})]}):null}function q(n){return n?`/calendar?clinic=${n.clinic.id}&visit-type=${n.visitType.id}`:"/calendar"}function oe({clinic:n,visitType:e}){return`/wait?${new URLSearchParams({clinic:n.id,visitType:e.id})}`}function ae({text:n,booking:e}){return t(u,{children:[t("p",{children:n}),t("p",{class:"actions",children:t("a",{class:"button",href:q(e.slot.value),children:"Choose another time"})}),t(S,{booking:e})]})}function F({text:n,booking:e}){return t(u,{children:[t("p",{children:n}),t("p",{class:"actions",children:t("button",{type:"button",class:"button",onClick:()=>{e.again()},children:"Try again"})}),t(S,{booking:e})]})}function se({booking:n}){let e=n.refusal.value;if(!e)return null;let i=e.__typename==="PatientConflict"?e.other:null,o=n.alternatives.value,a=e.__typename==="PolicyViolation"&&e.rule==="HOLD_LIMIT";return t(u,{children:[t("p",{children:c(e).text}),i&&t("p",{children:["You have: ",i.visitType.name," with ",i.provider.name,", ",b(i.startsAt,i.endsAt,i.clinic.timeZone),"."]}),o.length>0&&e.__typename!=="SlotTaken"&&t("p",{children:"Still free:"}),o.length>0&&t("ul",{class:"alternatives",role:"list",children:o.map(({id:l,startsAt:h,provider:P,clinic:K})=>t("li",{children:t("button",{type:"button","data-slot-id":l,onClick:()=>{n.takeInstead(l)},children:[t("b",{children:b(h,null,K.timeZone)})," ",t("span",{children:[P.name,P.acceptingNewPatients?"":", known patients only"]})]})},l))}),t("p",{class:"actions",children:[a&&t("button",{type:"button",class:"button",onClick:()=>{n.take()},children:"Try again"}),t("a",{class:o.length>0||a?void 0:"button",href:q(n.slot.value),children:"See all open times"}),n.slot.value&&t("a",{href:oe(n.slot.value),children:"Tell me when a time opens"})]}),t(S,{booking:n})]})}var I=document.getElementById("booking"),W=new f(new URLSearchParams(location.search).get("slot")??"");I.replaceChildren();A(t(U,{booking:W,development:I.dataset.mode==="development"}),I);W.begin();
