"""The words of the sample events: questions and answers of a support assistant in several languages."""

from __future__ import annotations

from typing import NamedTuple


class Language(NamedTuple):
    """Forms of questions with ``{thing}``, things to ask about, and clauses of which answers consist."""

    questions: tuple[str, ...]
    things: tuple[str, ...]
    clauses: tuple[str, ...]
    joint: str = " "


LANGUAGES: dict[str, Language] = {
    "en": Language(
        (
            "How do I cancel {thing}?",
            "Where can I find {thing}?",
            "Why was {thing} charged twice?",
            "Can you summarise {thing} in three sentences?",
            "What changed in {thing} since last month?",
            "Please write a polite answer about {thing}.",
            "Is {thing} covered by the warranty?",
            "Translate the paragraph about {thing} into French.",
            "Compare {thing} with the offer of the competitor.",
            "My customer complains about {thing}. What should I say?",
        ),
        (
            "my subscription",
            "the invoice",
            "the delivery",
            "the refund",
            "the annual report",
            "the password reset",
            "the shipping address",
            "the loyalty programme",
            "the data export",
            "the new contract",
            "the privacy policy",
            "the meeting notes",
            "the quarterly figures",
            "the spare part",
            "the travel insurance",
            "the onboarding guide",
        ),
        (
            "Open the account page and choose the plan that you want to change.",
            "The amount is returned within five working days.",
            "If the parcel has not arrived by Friday, we send a replacement free of charge.",
            "You find the document under settings, in the section for billing.",
            "Our records show two payments because the first one was not confirmed by the bank.",
            "The warranty covers defects of material for twenty-four months.",
            "Revenue grew by eight percent while costs stayed the same.",
            "I would recommend to reply with an apology and a concrete date.",
            "Please keep the receipt, since the shop may ask for it.",
            "The main points are scope, responsibility, price and the period of notice.",
            "A colleague from the technical department will call you tomorrow morning.",
            "Both offers include support, but only one of them has a guaranteed response time.",
            "Enter the six digits that were sent to your telephone.",
            "The export contains every message of the last ninety days as a spreadsheet.",
        ),
    ),
    "de": Language(
        (
            "Wie kündige ich {thing}?",
            "Wo finde ich {thing}?",
            "Warum wurde {thing} doppelt berechnet?",
            "Fasse {thing} bitte in drei Sätzen zusammen.",
            "Was hat sich bei {thing} geändert?",
        ),
        (
            "mein Abonnement",
            "die Rechnung",
            "die Lieferung",
            "die Rückerstattung",
            "den Jahresbericht",
            "den Vertrag",
            "die Gewährleistung",
        ),
        (
            "Öffnen Sie die Kontoseite und wählen Sie den gewünschten Tarif.",
            "Der Betrag wird innerhalb von fünf Werktagen zurückerstattet.",
            "Falls das Paket bis Freitag nicht ankommt, schicken wir Ersatz.",
            "Die Gewährleistung gilt vierundzwanzig Monate für Materialfehler.",
            "Ein Kollege aus der Technik meldet sich morgen früh bei Ihnen.",
            "Bitte bewahren Sie den Beleg auf.",
        ),
    ),
    "fr": Language(
        (
            "Comment résilier {thing} ?",
            "Où se trouve {thing} ?",
            "Pourquoi {thing} a été facturé deux fois ?",
            "Peux-tu résumer {thing} en trois phrases ?",
        ),
        ("mon abonnement", "la facture", "la livraison", "le remboursement", "le rapport annuel", "le contrat"),
        (
            "Ouvrez la page du compte et choisissez la formule souhaitée.",
            "Le montant est remboursé sous cinq jours ouvrés.",
            "La garantie couvre les défauts de matériel pendant vingt-quatre mois.",
            "Un collègue du service technique vous rappellera demain matin.",
            "Veuillez conserver le reçu.",
        ),
    ),
    "es": Language(
        (
            "¿Cómo cancelo {thing}?",
            "¿Dónde encuentro {thing}?",
            "¿Por qué me cobraron {thing} dos veces?",
            "Resume {thing} en tres frases.",
        ),
        ("mi suscripción", "la factura", "el envío", "el reembolso", "el informe anual", "el contrato"),
        (
            "Abra la página de la cuenta y elija el plan que desea cambiar.",
            "El importe se devuelve en un plazo de cinco días hábiles.",
            "La garantía cubre los defectos de material durante veinticuatro meses.",
            "Un compañero del departamento técnico le llamará mañana por la mañana.",
        ),
    ),
    "zh": Language(
        ("如何取消{thing}？", "在哪里可以找到{thing}？", "为什么{thing}被收费两次？", "请用三句话总结{thing}。"),
        ("我的订阅", "发票", "送货", "退款", "年度报告", "合同"),
        (
            "请打开账户页面并选择您想更改的套餐。",
            "金额将在五个工作日内退还。",
            "保修涵盖二十四个月内的材料缺陷。",
            "技术部门的同事明天早上会给您打电话。",
        ),
        "",
    ),
    "ja": Language(
        (
            "{thing}を解約するにはどうすればいいですか？",
            "{thing}はどこにありますか？",
            "{thing}を三文で要約してください。",
        ),
        ("サブスクリプション", "請求書", "配送", "返金", "年次報告書", "契約"),
        (
            "アカウントページを開いてプランを選択してください。",
            "金額は五営業日以内に返金されます。",
            "保証は二十四か月間の材料の欠陥を対象とします。",
            "明日の朝、技術部の担当者からお電話します。",
        ),
        "",
    ),
    "th": Language(
        ("ฉันจะยกเลิก{thing}ได้อย่างไร", "ฉันจะหา{thing}ได้ที่ไหน", "ช่วยสรุป{thing}เป็นสามประโยค"),
        ("การสมัครสมาชิก", "ใบแจ้งหนี้", "การจัดส่ง", "การคืนเงิน", "รายงานประจำปี"),
        (
            "เปิดหน้าบัญชีและเลือกแผนที่คุณต้องการเปลี่ยน",
            "จำนวนเงินจะถูกคืนภายในห้าวันทำการ",
            "การรับประกันครอบคลุมข้อบกพร่องของวัสดุยี่สิบสี่เดือน",
        ),
        " ",
    ),
}

SHARES = {"en": 62, "de": 11, "fr": 7, "es": 8, "zh": 6, "ja": 4, "th": 2}
"""Percent of the events in each language."""

TEMPLATES = tuple(
    f"You are the assistant of {company}. Answer {{customer}} {manner}. The customer's plan is {{plan}}."
    for company in ("Northwind", "Contoso", "Fabrikam", "Tailspin", "Adatum", "Litware", "Proseware", "Wingtip")
    for manner in ("briefly", "in a friendly tone", "with a list of steps", "and cite the handbook", "formally")
)

TOOLS = (
    "search_orders",
    "get_invoice",
    "create_ticket",
    "get_weather",
    "convert_currency",
    "send_email",
    "lookup_user",
)
